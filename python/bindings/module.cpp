#include "module.h"

#include "errors.h"
#include "helix/version.h"

NB_MODULE(_native, module) {
  helix::python::translate_errors();
  module.attr("version") = helix::version();
  helix::python::bind_matrix(module);
  helix::python::bind_encode(module);
  helix::python::bind_checkpoint(module);
  helix::python::bind_model(module);
}
