"""The hooks that transformers calls while it loads, saves and trains a model."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.quantizers.base import HfQuantizer

from helix_substrate.errors import UnsupportedError
from helix_substrate.transformers.config import HxqConfig


class HxqQuantizer(HfQuantizer):
    """Loads HXQ checkpoints, and compresses dense ones while they load.

    One instance serves one `from_pretrained` and then stays with the model as `model.hf_quantizer`.
    """

    requires_calibration = False
    requires_parameters_quantization = True  # read before 5.0 only

    def __init__(self, quantization_config: HxqConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        self._loading: Any = None
        self._ties: Any = None

    # What the model can do

    def is_serializable(self, **_: Any) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        """Adapters are; the codes are not."""
        return True

    @property
    def is_compileable(self) -> bool:
        return True

    @property
    def quantized_element_size(self) -> float:
        """Bytes of a weight that is about to be compressed."""
        return 1.0

    def param_element_size(self, model: Any, param_name: str, param: Any) -> float:
        compressed = self.param_needs_quantization(model, param_name)
        return self.quantized_element_size if compressed else param.element_size()

    # Loading

    def _process_model_before_weight_loading(
        self, model: Any, checkpoint_files: list[str] | None = None, **_: Any
    ) -> None:
        from helix_substrate.transformers import compat
        from helix_substrate.transformers.compressing import CompressingLoading
        from helix_substrate.transformers.loading import CompressedLoading

        config = self.quantization_config
        if checkpoint_files is None and not compat.HAS_CONVERSIONS:
            checkpoint_files = compat.checkpoint_files(model)
        if not self.pre_quantized:
            self._loading = CompressingLoading(model, checkpoint_files, config)
        elif not checkpoint_files:
            raise UnsupportedError(
                "a compressed checkpoint is loaded from safetensors files: a state_dict alone does "
                "not tell the sizes of the codes in time"
            )
        else:
            self._loading = CompressedLoading(model, checkpoint_files, config.compressed_modules)
        self._loading.prepare()
        self._ties = self._loading.ties

    def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
        from helix_substrate.transformers.saving import describe

        self._loading.finish()
        self._loading = None
        describe(model, self.quantization_config)
        return model

    def update_weight_conversions(self, weight_conversions: list[Any], model: Any) -> list[Any]:
        from helix_substrate.transformers import compat

        if self.pre_quantized and self._loading.unfuses_experts:
            return compat.without_expert_merging(weight_conversions)
        return weight_conversions

    def get_weight_conversions(self) -> list[Any]:
        return []

    def param_needs_quantization(self, model: Any, param_name: str, **_: Any) -> bool:
        if self.pre_quantized or self._loading is None:
            return False
        return param_name in self._loading.names_to_compress()

    def get_quantize_ops(self) -> Any:
        from helix_substrate.transformers.operation import CompressOperation

        return CompressOperation(self._loading)

    # Saving, and back to dense

    def get_state_dict_and_metadata(self, model: Any, *_: Any) -> tuple[Any, dict[str, str]]:
        from helix_substrate.transformers.saving import describe, state_dict_of

        describe(model, self.quantization_config)
        return state_dict_of(model), {}

    def _dequantize(self, model: Any, dtype: Any = None) -> nn.Module:
        from helix_substrate.transformers.saving import make_dense

        return make_dense(model, dtype, self._ties)

    # Before 5.0

    def update_expected_keys(self, model: Any, expected_keys: list[str], _: Any) -> list[str]:
        from helix_substrate.transformers import compat

        self._loading.dtypes.stop_casting(model)
        return compat.without_second_names(model, expected_keys)

    def create_quantized_param(
        self, model: Any, param_value: Any, param_name: str, target_device: Any, *_: Any, **__: Any
    ) -> None:
        dense = self._loading.take(param_name, param_value.to(target_device))
        if dense is not None:
            path, _, leaf = param_name.rpartition(".")
            setattr(model.get_submodule(path), leaf, nn.Parameter(dense))

    # Unchanged: tensor parallel plans do not know codes

    def update_parallel_plan(self, model: Any, plan: dict[str, str]) -> None:
        return

    def update_tp_plan(self, config: Any) -> Any:
        return config

    def update_ep_plan(self, config: Any) -> Any:
        return config
