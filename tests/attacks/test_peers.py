"""The attack equals those of two peer libraries from the same start."""

import pytest
import torch
from torch import Tensor, nn

from shapelens.attacks import pgd
from shapelens.attacks.pgd import perturb
from shapelens.attacks.spec import Attack

torch.set_num_threads(1)
EPS = {"inf": 0.06, "l2": 0.9}


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 6, 3, 2), nn.Softplus(), nn.Flatten())
        model = nn.Sequential(body, nn.LazyLinear(5)).eval()
        x = torch.rand(6, 3, 12, 12)
        model(x)
    return model, x, torch.arange(6) % 5


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_equal_to_torchattacks(norm: str, case: tuple[nn.Module, Tensor, Tensor]) -> None:
    torchattacks = pytest.importorskip("torchattacks")
    model, x, y = case
    attack = Attack(norm=norm, eps=EPS[norm], steps=10, random_start=False).resolved(12)
    peer = torchattacks.PGD if norm == "inf" else torchattacks.PGDL2
    theirs = peer(model, eps=attack.eps, alpha=attack.step, steps=10, random_start=False)(x, y)
    ours = perturb(model, x, y, attack, None)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    weaker = perturb(model, x, y, attack.model_copy(update={"steps": 9}), None)
    assert (weaker - theirs).abs().max() > 1e-6


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_equal_to_foolbox_from_a_random_start(
    norm: str, case: tuple[nn.Module, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    foolbox = pytest.importorskip("foolbox")
    eagerpy = pytest.importorskip("eagerpy")
    model, x, y = case
    attack = Attack(norm=norm, eps=EPS[norm], steps=10).resolved(12)
    start = pgd.random_start(x, norm, attack.eps, torch.Generator().manual_seed(4))
    monkeypatch.setattr(pgd, "random_start", lambda *_: start)
    peer = getattr(foolbox.attacks, "LinfPGD" if norm == "inf" else "L2PGD")

    class SameStart(peer):  # type: ignore[misc, valid-type]
        def get_random_start(self, x0: object, epsilon: float) -> object:
            return eagerpy.astensor(x + start)

    bounded = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = SameStart(abs_stepsize=attack.step, steps=10, random_start=True).run(
        bounded, x, foolbox.criteria.Misclassification(y), epsilon=attack.eps
    )
    torch.testing.assert_close(perturb(model, x, y, attack, None), theirs, rtol=0, atol=1e-6)
