#include "metrics.h"

namespace helix::python {

nanobind::dict metrics_dict(const Metrics& metrics) {
  nanobind::dict dict;
  dict["snr_db"] = metrics.snr_db();
  dict["relative_squared_error"] = metrics.relative_squared_error();
  dict["cosine"] = metrics.cosine();
  dict["max_error"] = metrics.max_error;
  dict["bits_per_weight"] = metrics.bits_per_weight();
  dict["weight_count"] = metrics.weight_count;
  dict["outlier_count"] = metrics.outlier_count;
  dict["stored_bytes"] = metrics.stored_bytes;
  return dict;
}

}  // namespace helix::python
