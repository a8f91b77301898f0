import pytest


@pytest.fixture(scope="module")
def double():
    """PyTorch with float64 as the default dtype, in which it keeps scalars such as NAdam's mu_product."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)
