"""What every reader asks of the numbers of a layer, whatever the digests say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import StyleDamaged
from ..style import Gaussian
from .integrity import ARRAYS


@np.errstate(over="ignore", invalid="ignore")
def check_gaussian(where: str, gaussian: Gaussian) -> None:
    """Refuse numbers that no covariance has; the digest proves only that they are the writer's."""
    mean, cov, cov_sqrt, eigenvalues = (getattr(gaussian, key) for key in ARRAYS)
    for key, array in zip(ARRAYS, (mean, cov, cov_sqrt, eigenvalues), strict=True):
        if not np.isfinite(array).all():
            raise StyleDamaged(f"{where}/{key} holds values that are not finite.")
    for key, array in (("cov", cov), ("cov_sqrt", cov_sqrt)):
        if np.abs(array - array.T).max() > 1e-5 * np.abs(array).max():
            raise StyleDamaged(f"{where}/{key} is not symmetric.")
    check_spectrum(where, eigenvalues)
    tiny = float(np.finfo(np.float32).tiny)
    norm, root_norm = (float(np.linalg.norm(array.astype(np.float64))) for array in (cov, cov_sqrt))
    error = float(np.linalg.norm((cov_sqrt @ cov_sqrt - cov).astype(np.float64)))
    if not error <= 1e-3 * max(norm, tiny):  # also when huge numbers overflowed to NaN
        raise StyleDamaged(f"{where}/cov_sqrt squared is not cov (off by {error:.3g} of {norm:.3g}).")
    try:
        np.linalg.cholesky(cov_sqrt + max(1e-4 * root_norm, tiny) * np.eye(len(mean)))
    except np.linalg.LinAlgError:
        raise StyleDamaged(f"{where}/cov_sqrt has a negative eigenvalue.") from None
    spectrum = eigenvalues.astype(np.float64)
    least = 1e-3 * max(float(np.abs(cov).max()), tiny) * len(mean)
    for name, got, expected in (
        ("trace of cov", np.trace(cov, dtype=np.float64), spectrum.sum()),
        ("trace of cov_sqrt, squared", np.trace(cov_sqrt, dtype=np.float64) ** 2, np.sqrt(spectrum).sum() ** 2),
    ):
        if abs(got - expected) > 1e-3 * max(expected, least):
            raise StyleDamaged(f"{where}: the {name} is {got:.6g}, and the eigenvalues say {expected:.6g}.")


def check_spectrum(where: str, eigenvalues: npt.NDArray[np.float32]) -> None:
    """Refuse eigenvalues that are negative or rise."""
    if eigenvalues.min() < 0 or (np.diff(eigenvalues) > 0).any():
        raise StyleDamaged(f"{where}/eigenvalues are negative or not in descending order.")
