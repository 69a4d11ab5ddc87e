"""Ways from one dashboard to the next, to the live page, and to traces."""

from grafana_foundation_sdk.models import dashboard as model

KEPT = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"

TITLES = {
    "progress-overview": "Progress / Overview",
    "progress-job": "Progress / Job",
    "progress-sidecar": "Progress / Sidecar",
    "progress-slo": "Progress / SLO",
}

LIVE_PAGE = "${sidecar_url}"
JAEGER = "search?service=progress-sidecar&lookback=custom&start=${__from}000&end=${__to}000"


def to_others(uid: str) -> list[model.DashboardLink]:
    """Return the links at the top of a dashboard: to the other three, which keep what is chosen and the time."""
    return [
        model.DashboardLink(title=title, url=f"/d/{other}", icon="dashboard", include_vars=True, keep_time=True)
        for other, title in TITLES.items()
        if other != uid
    ]


def to_live_page(path: str, title: str = "Live page") -> model.DashboardLink:
    """Return a link to a page of the sidecar itself."""
    return model.DashboardLink(title=title, url=f"{LIVE_PAGE}{path}", icon="external link", target_blank=True)


def to_traces(job_id: str) -> model.DashboardLink:
    """Return a link to the traces of a job, as Jaeger finds them."""
    tags = f"%7B%22progress.job.id%22%3A%22{job_id}%22%7D"
    return model.DashboardLink(
        title="Traces", url="${traces_url}/" + f"{JAEGER}&tags={tags}", icon="external link", target_blank=True
    )


def to_job(job_id: str, job_type: str) -> model.DashboardLink:
    """Return a data link to the dashboard of one job."""
    url = f"/d/progress-job?{KEPT}&var-job_type={job_type}&var-job_id={job_id}"
    return model.DashboardLink(title="This job", url=url)


def to_type(job_type: str) -> model.DashboardLink:
    """Return a data link to all jobs of a type."""
    return model.DashboardLink(title="Jobs of this type", url=f"/d/progress-overview?{KEPT}&var-job_type={job_type}")


def plain(link: model.DashboardLink) -> dict[str, object]:
    """Return a data link as it stands among the properties of an override."""
    return {"title": link.title, "url": link.url, "targetBlank": link.target_blank}
