"""The device is the Mac that it is told to be, wherever host code asks."""

import pytest
import torch

import metalsim


def test_the_default():
    assert torch.backends.mps.is_available()
    assert torch._C._mps_get_name() == "Apple M4 Pro"
    assert torch._C._mps_get_core_count() == 20
    assert torch.backends.mps.is_macos_or_newer(15, 0)
    assert not torch.backends.mps.is_macos_or_newer(26, 0)


def test_another_mac_for_a_while():
    with metalsim.described_as("M1", macos="14.1"):
        assert torch._C._mps_get_name() == "Apple M1"
        assert torch._C._mps_get_core_count() == 8
        assert not torch.backends.mps.is_macos_or_newer(15, 0)
        with metalsim.described_as("M4 Max", macos="26.0", cores=32):
            assert torch._C._mps_get_core_count() == 32
            assert torch.backends.mps.is_macos_or_newer(26, 0)
        assert torch._C._mps_get_name() == "Apple M1"
    assert torch._C._mps_get_name() == "Apple M4 Pro"


@pytest.mark.parametrize(("gpu", "macos", "words"), [("M0", "15.0", "M4 Pro"), ("M1", "Sonoma", "14.0")])
def test_what_is_no_mac(gpu, macos, words):
    with pytest.raises(metalsim.ValidationError, match=words), metalsim.described_as(gpu, macos):
        pass
