#pragma once

namespace helix::python {

// From then on a helix::Error that reaches Python becomes the exception of its code, one of the
// classes in helix_substrate/errors.py; std::bad_alloc becomes OutOfMemoryError.
void translate_errors();

}  // namespace helix::python
