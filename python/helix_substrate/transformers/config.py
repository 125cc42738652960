"""`quantization_config` of an HXQ checkpoint, and the options of compressing while loading."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from transformers.utils.quantization_config import QuantizationConfigMixin

from helix_substrate.errors import CorruptDataError, InvalidArgumentError
from helix_substrate.transformers.registration import METHODS

SMALLEST_CODEBOOK, LARGEST_CODEBOOK = 2, 4096


class HxqConfig(QuantizationConfigMixin):
    """How a model is compressed.

    Pass one to `from_pretrained` of a dense model to compress it while it loads:

    * `codebook_size`: codebook entries of each matrix, 2 to 4096.
    * `outliers`: weights kept exactly beside the codes: "auto", "none", a count, a share such as
      0.0005, or "0.05%".
    * `column_scales`: "auto" or "none".
    * `modules_to_not_convert`: names, or globs (`*.layers.0.*`), of modules that stay exact. A
      plain name stands for that module, those under it and those whose name ends in it.
    * `module_k_map`: name or glob to codebook size; the last that matches counts.
    * `embeddings`, `lm_head`: compress these too (a tied head shares the embedding's codes).

    For a checkpoint that is compressed already, transformers builds one from config.json, with
    whatever fields that has; unknown ones are kept and written again. The tensors decide what is
    true, the fields are informational (docs/format.md), apart from `compressed_modules`.
    """

    def __init__(
        self,
        codebook_size: int | None = None,
        outliers: str | int | float = "auto",
        column_scales: str = "auto",
        modules_to_not_convert: Sequence[str] | None = None,
        module_k_map: Mapping[str, int] | None = None,
        embeddings: bool = False,
        lm_head: bool = False,
        compressed_modules: Sequence[str] | None = None,
        **fields: Any,
    ) -> None:
        method = fields.pop("quant_method", "hxq")
        if method not in METHODS:
            raise InvalidArgumentError(f"quant_method {method!r}, expected one of {METHODS}")
        self.quant_method = "hxq"
        self.codebook_size = codebook_size or fields.get("n_clusters") or 256
        self.outliers = outliers
        self.column_scales = column_scales
        self.modules_to_not_convert = modules_to_not_convert
        self.module_k_map = module_k_map
        self.embeddings = embeddings
        self.lm_head = lm_head
        self.compressed_modules = checked_names(compressed_modules)
        for name, value in fields.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """What config.json gets: the fields that say something, the options only where set."""
        fields = copy.deepcopy(self.__dict__)
        defaults = {"outliers": "auto", "column_scales": "auto", "embeddings": False}
        defaults |= {"lm_head": False, "modules_to_not_convert": None, "module_k_map": None}
        for name, default in {**defaults, "compressed_modules": None}.items():
            if name in fields and fields[name] == default:
                del fields[name]
        return fields

    def check_options(self) -> None:
        """Raises InvalidArgumentError for an option that compressing cannot use."""
        sizes = {"codebook_size": self.codebook_size, **(self.module_k_map or {})}
        for name, size in sizes.items():
            if type(size) is not int or not SMALLEST_CODEBOOK <= size <= LARGEST_CODEBOOK:
                raise InvalidArgumentError(f"{name}: codebook size {size!r}, expected 2 to 4096")
        if self.column_scales not in ("auto", "none"):
            raise InvalidArgumentError(
                f"column_scales {self.column_scales!r}, expected 'auto' or 'none'"
            )
        self.outlier_option()

    def outlier_option(self) -> str | int | float:
        """`outliers` as `encode` takes it: "auto", "none", a count or a share."""
        given = self.outliers
        if given in ("auto", "none"):
            return given
        if isinstance(given, str):
            given = share_of_percent(given)
        is_count = type(given) is int and given >= 0
        is_share = type(given) is float and 0 <= given <= 1
        if not (is_count or is_share):
            raise InvalidArgumentError(
                f"outliers {self.outliers!r}, expected 'auto', 'none', a count or a share"
            )
        return given


def share_of_percent(text: str) -> float | None:
    """0.0005 for "0.05%"; None for anything else."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else None
    except ValueError:
        return None


def checked_names(names: Any) -> list[str] | None:
    """The list `compressed_modules`; raises CorruptDataError where it is none."""
    if names is None:
        return None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise CorruptDataError(f"compressed_modules is {type(names).__name__}, expected names")
    return list(names)
