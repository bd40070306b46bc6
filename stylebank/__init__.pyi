from pipeline import add as add
from pipeline import apply as apply
from pipeline import progress_bar as progress_bar
from pipeline import read_record as read_record
from pipeline import remeasure as remeasure
from pipeline import run_jobs as run_jobs
from pipeline import similar as similar
from pipeline import stylize as stylize
from pipeline import try_styles as try_styles

from .bank import Bank as Bank
from .bank import combine as combine
from .bank import library as library
from .bank import similarity as similarity
from .bank.distances import distance_matrix as distance_matrix
from .errors import StylebankError as StylebankError
from .math import barycenter as barycenter
from .math import gaussian as gaussian
from .pages import map as atlas  # noqa: F401
from .style import Fingerprint as Fingerprint
from .style import Gaussian as Gaussian
from .style import Header as Header
from .style import Source as Source
from .style import Style as Style

__version__: str
__all__ = [
    "Bank",
    "Fingerprint",
    "Gaussian",
    "Header",
    "Source",
    "Style",
    "StylebankError",
    "__version__",
    "add",
    "apply",
    "distance_matrix",
    "progress_bar",
    "read_record",
    "remeasure",
    "run_jobs",
    "similar",
    "stylize",
    "try_styles",
]
