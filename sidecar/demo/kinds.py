"""The types of jobs that are played: what their stages count, and how long one takes when nothing goes wrong.

Which stages a type has, in which order, and what they weigh the sidecar knows without being told: `job_types.toml`.
"""

from typing import NamedTuple


class Stage(NamedTuple):
    """A stage of a kind: `seconds` is what it usually takes, `ticks` how often it is reported.

    `message` is said when it begins; `items` are the kinds of things that it counts, each with how many there are for
    one unit of work.
    """

    name: str
    message: str
    unit: str
    total: int
    seconds: float
    ticks: int
    items: tuple[tuple[str, float], ...] = ()
    is_discovery: bool = False


class Kind(NamedTuple):
    """A type of job. `is_batched`: one process runs several and reports them together."""

    job_type: str
    title: str
    stages: tuple[Stage, ...]
    blocked_on: str
    error: tuple[str, str]
    is_batched: bool = False

    @property
    def seconds(self) -> float:
        """How long one usually takes."""
        return sum(stage.seconds for stage in self.stages)


TIMETABLE = Kind(
    "timetable",
    "Timetable of the winter term",
    (
        Stage("loading", "Loading courses and rooms", "courses", 640, 4, 3),
        Stage("clustering", "Grouping courses", "courses", 640, 8, 5, (("clusters", 0.34),)),
        Stage("cpsat_solving", "Solving clusters", "clusters", 216, 48, 40, (("clusters", 1), ("conflicts", 0.1))),
        Stage("ga_optimization", "Improving", "generations", 120, 12, 10, (("generations", 1),)),
        Stage("rl_refinement", "Refining", "episodes", 50, 8, 6, (("episodes", 1),)),
    ),
    "licence of the solver",
    ("Infeasible", "cluster 131 has no feasible assignment"),
)

PROPOSAL = Kind(
    "proposal",
    "Proposal from uploaded papers",
    (
        Stage("initializing", "Setting up and planning", "steps", 5, 5, 3),
        Stage("clustering", "Grouping related chunks", "chunks", 900, 9, 6, (("chunks", 1),)),
        Stage("synthesizing", "Creating nodes from clusters", "clusters", 48, 22, 16, (("nodes", 3),)),
        Stage("deduplicating", "Removing duplicates", "nodes", 144, 6, 5, (("duplicates", 0.2),)),
        Stage("complete", "Saving", "steps", 2, 2, 1),
    ),
    "quota of the language model",
    ("RateLimited", "the language model refused 5 calls in a row"),
)

TREE = Kind(
    "tree",
    "Tree of experiments",
    (
        Stage("initializing", "Setting up", "steps", 3, 3, 2),
        Stage("fetching", "Getting proposals", "proposals", 36, 5, 4, (("proposals", 1),)),
        Stage("creating_tree", "Creating the tree", "steps", 10, 4, 3),
        Stage("analyzing", "Analysing dependencies", "proposals", 36, 9, 6),
        Stage("creating_blocks", "Creating blocks", "blocks", 60, 8, 6, (("blocks", 1),)),
        Stage("creating_nodes", "Creating nodes", "nodes", 240, 10, 8, (("nodes", 1),)),
        Stage("creating_content", "Writing their content", "nodes", 240, 16, 12, (("characters", 800),)),
    ),
    "approval of the plan",
    ("IntegrityError", "a node with this position exists already"),
)

SNAPSHOT = Kind(
    "snapshot",
    "Snapshot of a project",
    (
        Stage("waiting", "waiting", "steps", 2, 4, 2),
        Stage("status", "browsing", "folders", 40, 3, 3),
        Stage("browsing", "browsing", "files", 2400, 7, 6, (("files", 1),)),
        Stage("compressing", "compressing", "files", 2400, 12, 10, (("bytes", 52_000),)),
        Stage("uploading", "uploading", "bytes", 96_000_000, 20, 18),
    ),
    "cloud storage to be reachable",
    ("UploadFailed", "the storage closed the connection after 61 MB"),
)

LOCAL_INGEST = Kind(
    "local-ingest",
    "Ingestion of a directory",
    (
        Stage("initializing", "Initializing", "steps", 1, 1, 1),
        Stage("scanning", "Scanning", "files", 380, 5, 6, (("files", 1),), is_discovery=True),
        Stage("indexing", "Indexing", "files", 380, 24, 20, (("chunks", 5),)),
    ),
    "space in the vector database",
    ("ConnectionError", "connection timeout to database"),
    is_batched=True,
)

GITHUB_INGEST = Kind(
    "github-ingest",
    "Ingestion of a repository",
    (
        Stage("cloning", "Cloning", "objects", 5200, 8, 6, (("objects", 1),)),
        Stage("loading", "Loading", "files", 730, 6, 5, (("files", 1),)),
        Stage("indexing", "Indexing", "files", 730, 30, 22, (("chunks", 6),)),
    ),
    "credential for the repository",
    ("CloneError", "remote end hung up unexpectedly"),
)

CRAWL = Kind(
    "crawl",
    "Crawl of a forge",
    (
        Stage("discovery", "Discovering", "areas", 645, 10, 8, (("groups", 0.1), ("projects", 0.9)), is_discovery=True),
        Stage("branch_crawling", "Crawling branches", "branches", 310, 14, 10, (("branches", 1),)),
        Stage(
            "data_collection",
            "Collecting data",
            "items",
            1900,
            38,
            32,
            (("issues", 0.5), ("mergeRequests", 0.2), ("commits", 2)),
        ),
        Stage("finalization", "Finishing", "steps", 4, 4, 3),
    ),
    "renewal of a credential",
    ("Unauthorized", "the token was revoked while page 12 of issues was read"),
    is_batched=True,
)

KINDS = (TIMETABLE, PROPOSAL, TREE, SNAPSHOT, LOCAL_INGEST, GITHUB_INGEST, CRAWL)
