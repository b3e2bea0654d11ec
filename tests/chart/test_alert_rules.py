"""Every alerting rule, evaluated by Prometheus' own engine: it fires where it should and is silent where it should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = sorted((Path(__file__).parents[2] / "helm" / "argo" / "alerts").glob("*.yaml"))
PROMTOOL = shutil.which("promtool")

Series = dict[str, tuple[str, str]]
"""By the series: its values while it should fire, and while it should not, as promtool writes them."""

MINUTES = 60
POD = 'namespace="argo",pod="p"'
OPTIC = 'namespace="argo",pod="p",optic="devices/d/optics/o"'
UNLIMITED = " ".join(["+Inf"] * (MINUTES + 1))
GROWING, STANDING, ONE, ZERO = "0+60x60", "0x60", "1x60", "0x60"

CASES: dict[str, Series] = {
    "ArgoAlarmBudgetExceeded": {
        'argo_alerting_alarms_per_operator{namespace="argo",over="1d"}': ("1.5x61", "0.5x61"),
        'argo_alerting_stale_alarms{namespace="argo"}': (ZERO, ZERO),
    },
    "ArgoAlertsLate": {
        'argo_alerting_capture_to_alert_seconds_bucket{namespace="argo",le="5"}': ("0+1x60", "0+60x60"),
        'argo_alerting_capture_to_alert_seconds_bucket{namespace="argo",le="10"}': (GROWING, GROWING),
        'argo_alerting_capture_to_alert_seconds_bucket{namespace="argo",le="+Inf"}': (GROWING, GROWING),
    },
    "ArgoAlertsUnanswered": {
        'argo_alerting_time_acted_total{namespace="argo",act="unanswered"}': (GROWING, STANDING),
        'argo_alerting_time_acted_total{namespace="argo",act="called"}': (GROWING, GROWING),
    },
    "ArgoAnalysisShed": {
        f'argo_gateway_frames_dropped_total{{{OPTIC},reason="shed"}}': (GROWING, GROWING),
        f"argo_gateway_analysis_budget{{{POD}}}": ("40x60", UNLIMITED),
    },
    "ArgoAuditBroken": {f"argo_audit_broken{{{POD}}}": (ONE, ZERO)},
    "ArgoBusDisconnected": {f"argo_bus_connected{{{POD}}}": (ZERO, ONE)},
    "ArgoComponentDown": {
        'up{namespace="argo",app_kubernetes_io_component="detector"}': (ZERO, ONE),
        'up{namespace="argo",app_kubernetes_io_component="somebody-else"}': (ZERO, ZERO),
    },
    "ArgoDispatchUndelivered": {'argo_alerting_dispatches_undelivered{namespace="argo",recipient="r"}': ("3x60", ZERO)},
    "ArgoErasureFailing": {f"argo_anonymizer_erasure_failing{{{POD}}}": (ONE, ZERO)},
    "ArgoErasurePostponed": {
        f"argo_anonymizer_holds_known{{{POD}}}": (ONE, ONE),
        f"argo_alerting_holds_known{{{POD}}}": (ZERO, ONE),
    },
    "ArgoEventLoopLate": {f"argo_event_loop_lag_seconds{{{POD}}}": ("0.6x60", "0.1x60")},
    "ArgoEventsDropped": {f'argo_detector_dropped_total{{{POD},kind="event"}}': (GROWING, STANDING)},
    "ArgoFramesFailedClosed": {
        f"argo_anonymizer_frames_failed_closed_total{{{OPTIC}}}": (GROWING, STANDING),
        f"argo_anonymizer_unmasked_frames_out_total{{{OPTIC}}}": (STANDING, STANDING),
    },
    "ArgoFramesUnverdicted": {
        f'argo_gateway_frames_unverdicted_total{{{OPTIC},reason="late"}}': ("0+6x60", "0+2x60"),
        f"argo_gateway_frames_masked_total{{{OPTIC}}}": (GROWING, GROWING),
    },
    "ArgoGlassBroken": {f'argo_alerting_glass_broken_total{{{POD},right="view"}}': (GROWING, STANDING)},
    "ArgoGlassUnreviewed": {f'argo_alerting_glass_unreviewed{{{POD},overdue="yes"}}': (ONE, ZERO)},
    "ArgoMessagesRejected": {f'argo_alerting_rejected_total{{{POD},kind="event"}}': (GROWING, STANDING)},
    "ArgoOpticDark": {
        f'argo_gateway_optic_state{{{OPTIC},state="streaming"}}': (ZERO, ONE),
        f'argo_gateway_optic_state{{{OPTIC},state="backing_off"}}': (ONE, ZERO),
    },
    "ArgoOpticImpaired": {f'argo_gateway_optic_impaired{{{OPTIC},impairment="frozen"}}': (ONE, ZERO)},
    "ArgoRecordingStopped": {f"argo_anonymizer_store_available{{{POD}}}": (ZERO, ONE)},
    "ArgoRpcFailures": {
        f'argo_rpc_handled_total{{{POD},method="/a/B",code="OK"}}': (GROWING, GROWING),
        f'argo_rpc_handled_total{{{POD},method="/a/B",code="INTERNAL"}}': ("0+12x60", "0+1x60"),
        f'argo_rpc_handled_total{{{POD},method="/a/B",code="NOT_FOUND"}}': (GROWING, GROWING),
    },
    "ArgoUnmaskedFrame": {f"argo_gateway_unmasked_frames_out_total{{{OPTIC}}}": (ONE, ZERO)},
}


def test_every_rule_has_a_case() -> None:
    assert sorted(CASES) == [path.stem for path in RULES]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian package prometheus) is not installed")
def test_every_rule_fires_where_it_should_and_is_silent_where_it_should(tmp_path: Path) -> None:
    rules = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "argo", "rules": rules}]}))
    cases = [case(name, series, fires=fires) for name, series in CASES.items() for fires in (True, False)]
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": cases}))

    told = subprocess.run(
        [str(PROMTOOL), "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stdout + told.stderr


def case(alert: str, series: Series, *, fires: bool) -> dict[str, Any]:
    """One test of promtool: at the end of an hour the alert is there, or is not."""
    return {
        "name": f"{alert} {'fires' if fires else 'is silent'}",
        "interval": "1m",
        "input_series": [{"series": each, "values": values[not fires]} for each, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
            }
        ],
    }
