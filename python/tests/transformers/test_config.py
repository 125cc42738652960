"""HxqConfig: fields of config.json, kept whatever they are, and options that must make sense."""

import pytest

from helix_substrate import CorruptDataError, HxqConfig, InvalidArgumentError


@pytest.mark.parametrize("method", ["hxq", "cdna_v3", "helix"])
def test_every_name_of_the_method_becomes_hxq(method):
    config = HxqConfig.from_dict({"quant_method": method, "compressed_modules": ["a"]})
    assert config.quant_method == "hxq"
    assert config.compressed_modules == ["a"]


def test_unknown_fields_are_kept():
    fields = {"quant_method": "hxq", "compressed_modules": [], "made_by": {"someone": [1, 2]}}
    assert HxqConfig.from_dict(fields).to_dict()["made_by"] == {"someone": [1, 2]}


def test_n_clusters_is_the_other_name_of_codebook_size():
    assert HxqConfig(n_clusters=64).codebook_size == 64


def test_options_at_their_defaults_are_not_written():
    assert HxqConfig().to_dict() == {"quant_method": "hxq", "codebook_size": 256}


def test_another_method_is_refused():
    with pytest.raises(InvalidArgumentError, match="quant_method"):
        HxqConfig(quant_method="gptq")


@pytest.mark.parametrize("modules", ["a", {"a": 1}, [1], 7])
def test_compressed_modules_must_be_names(modules):
    with pytest.raises(CorruptDataError, match="compressed_modules"):
        HxqConfig(compressed_modules=modules)


@pytest.mark.parametrize(
    "options",
    [
        {"codebook_size": 1},
        {"codebook_size": 4097},
        {"codebook_size": 256.0},
        {"module_k_map": {"*": 5000}},
        {"outliers": "some"},
        {"outliers": -1},
        {"outliers": 1.5},
        {"outliers": True},
        {"outliers": "x%"},
        {"column_scales": "always"},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgumentError):
        HxqConfig(**options).check_options()


@pytest.mark.parametrize(
    ("given", "meant"), [("auto", "auto"), ("none", "none"), (7, 7), (0.5, 0.5), ("0.05%", 0.0005)]
)
def test_outliers_as_the_program_takes_them(given, meant):
    assert HxqConfig(outliers=given).outlier_option() == pytest.approx(meant)
