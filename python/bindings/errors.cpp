#include "errors.h"

#include <nanobind/nanobind.h>

#include <exception>
#include <new>

#include "helix/error.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

void raise_by_code(ErrorCode code, const char* message) {
  const nb::object classes = nb::module_::import_("helix_substrate.errors").attr("ERROR_BY_CODE");
  // File names in messages are bytes; what is not UTF-8 comes through as Python itself does it.
  const nb::object text = nb::steal(PyUnicode_DecodeFSDefault(message));
  if (text.is_valid()) PyErr_SetObject(classes[nb::int_(static_cast<int>(code))].ptr(), text.ptr());
}

void translate(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    raise_by_code(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    raise_by_code(ErrorCode::kOutOfMemory, "there is not enough memory");
  }
}

}  // namespace

void translate_errors() { nb::register_exception_translator(translate); }

}  // namespace helix::python
