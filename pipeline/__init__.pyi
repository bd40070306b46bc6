from .ingest.add import add as add
from .ingest.similar import similar as similar
from .jobs import report as report
from .jobs.apply import ImagesFailed as ImagesFailed
from .jobs.apply import apply as apply
from .jobs.events import Finished as Finished
from .jobs.events import Notice as Notice
from .jobs.events import Progress as Progress
from .jobs.events import Started as Started
from .jobs.events import Stepped as Stepped
from .jobs.job_file import run_jobs as run_jobs
from .jobs.record import Entry as Entry
from .settings import IngestSettings as IngestSettings
from .settings import SynthesisSettings as SynthesisSettings

MeasureSettings = IngestSettings
