"""OpenLineage events (openlineage.io, spec 2-0-2) from the same records as the lineage table; off by default.

`RIGOR_OPEN_LINEAGE` names a file, to which each finished stage call adds a line, or an http(s) address that takes
events.
"""

from __future__ import annotations

import json
import logging
import re
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from uuid import UUID

PRODUCER = "https://pypi.org/project/rigor"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACETS = "https://openlineage.io/spec/facets/"
TIMEOUT_SECONDS = 5.0


def emit(target: str, records: Sequence[dict[str, Any]], warehouse: str) -> None:
    """Tell `target` of one stage call. What it wrote is committed already: a failure is logged and stops nothing."""
    if not target or not records:
        return
    line = json.dumps(event(records, warehouse))
    try:
        if not target.startswith(("http://", "https://")):
            with Path(target).open("a") as file:
                file.write(line + "\n")
            return
        address, headers = urlsplit(target), {"Content-Type": "application/json"}
        if address.username is not None:
            login = f"{unquote(address.username)}:{unquote(address.password or '')}"
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        url = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        request = urllib.request.Request(url, line.encode(), headers)  # noqa: S310 http(s) alone, checked above
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
    except (OSError, HTTPException, ValueError) as error:
        # Without the password and key that may be in it; the error's own text may quote them.
        shown = re.sub(r"//.*@", "//", target.partition("?")[0])
        logging.getLogger(__name__).warning("OpenLineage event not delivered to %s: %s", shown, _kind(error))


def _kind(error: Exception) -> str:
    """What went wrong, without the address."""
    if isinstance(error, HTTPError):
        return f"the server answers {error.code}"
    reason = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
    return type(reason).__name__


def event(records: Sequence[dict[str, Any]], warehouse: str) -> dict[str, Any]:
    """The COMPLETE event of a stage call; `records` are the lineage rows that it left: its artifact, tables beside."""
    call = records[-1]
    ended = call["started"].timestamp() + call["seconds"]
    when = call["started"].fromtimestamp(ended, tz=call["started"].tzinfo)
    return {
        "eventType": "COMPLETE",
        "eventTime": when.isoformat(),
        "producer": PRODUCER,
        "schemaURL": f"{SPEC}RunEvent",
        "run": {
            "runId": str(UUID(call["mlflow_run"])),
            "facets": {"rigor": _facet(f"{SPEC}RunFacet", fingerprint=call["fingerprint"], git_sha=call["git_sha"],
                                       config=json.loads(call["config"]), cpu_seconds=call["cpu_seconds"])},
        },
        "job": {"namespace": "rigor", "name": f"{call['stage']}@{call['stage_version']}"},
        "inputs": [_dataset(given, warehouse) for given in call["inputs"]],
        "outputs": [
            _dataset(made, warehouse) | {"outputFacets": {"outputStatistics": _facet(
                f"{FACETS}1-0-2/OutputStatisticsOutputDatasetFacet.json", rowCount=made["rows"])}}
            for made in records
        ],
    }  # fmt: skip


def _dataset(artifact: dict[str, Any], warehouse: str) -> dict[str, Any]:
    """A table or model in the warehouse's namespace, a file in its own; versions tell artifacts of one name apart."""
    version = artifact["digest"] if artifact["kind"] == "file" else f"{artifact['version']} {artifact['digest']}"
    facet = _facet(f"{FACETS}1-0-1/DatasetVersionDatasetFacet.json", datasetVersion=version)
    return {
        "namespace": "file" if artifact["kind"] == "file" else warehouse,
        "name": artifact["name"],
        "facets": {"version": facet},
    }


def _facet(schema: str, **facts: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": schema, **facts}
