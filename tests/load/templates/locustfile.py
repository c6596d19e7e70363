"""The personas of tests/load/scenario.toml for Locust, https://locust.io.

@@GENERATED@@

    pip install locust
    TURNPIKE_ACCOUNTS=accounts.json TURNPIKE_LOAD_KIND=smoke \\
        locust -f locustfile.py --headless --host http://127.0.0.1:3000

`cargo turnpike load accounts` writes accounts.json. TURNPIKE_LOAD_SECONDS makes the course as long, and
TURNPIKE_LOAD_PATIENCE multiplies the bounds of latencies, for slow machines.
"""

import datetime
import itertools
import json
import os
import re
import uuid

from locust import HttpUser, LoadTestShape, between, events, task

KINDS = json.loads(
    r"""
@@KINDS@@
"""
)

TASKS = json.loads(
    r"""
@@TASKS@@
"""
)

THRESHOLDS = json.loads(
    r"""
@@THRESHOLDS@@
"""
)

KIND = KINDS[os.environ.get("TURNPIKE_LOAD_KIND", "smoke")]
PATIENCE = float(os.environ.get("TURNPIKE_LOAD_PATIENCE", "1"))
PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")

with open(os.environ.get("TURNPIKE_ACCOUNTS", "accounts.json"), encoding="utf-8") as file:
    ACCOUNTS = json.load(file)["accounts"]

# How many answers came from the cache, and how many looked there in vain.
CACHE = {"hit": 0, "miss": 0}


def stages():
    """The course, as users at the end of each stage and seconds."""
    whole = sum(stage["secs"] for stage in KIND["stages"])
    factor = float(os.environ.get("TURNPIKE_LOAD_SECONDS", whole)) / whole
    return [(stage["users"], stage["secs"] * factor) for stage in KIND["stages"]]


def filled(text, values):
    """The text with the values in their places."""

    def value_of(match):
        return uuid.uuid4().hex if match[1] == "unique" else values[match[1]]

    return PLACEHOLDER.sub(value_of, text)


def found(document, pointer):
    """What is at a place of a JSON document, or None."""
    for name in pointer.split("/")[1:]:
        if isinstance(document, list):
            document = document[int(name)] if int(name) < len(document) else None
        else:
            document = document.get(name) if isinstance(document, dict) else None
    return document


class Course(LoadTestShape):
    """As many users as the stages say."""

    def tick(self):
        elapsed, before, began = self.get_run_time(), 0, 0.0
        for users, secs in stages():
            if elapsed < began + secs:
                share = (elapsed - began) / secs
                return max(1, round(before + (users - before) * share)), 100
            before, began = users, began + secs
        return None


class TurnpikeUser(HttpUser):
    """Somebody with an account, who does tasks step by step."""

    abstract = True
    wait_time = between(KIND["pause_ms"][0] / 1000, KIND["pause_ms"][1] / 1000)
    numbers = itertools.count()

    def on_start(self):
        accounts = [one for one in ACCOUNTS if one["persona"] == self.persona]
        self.account = accounts[next(self.numbers) % len(accounts)]

    def run_task(self, name):
        today = datetime.datetime.now(datetime.timezone.utc).date()
        values = dict(self.account)
        values["month_since"] = str(today - datetime.timedelta(days=29))
        values["until"] = str(today + datetime.timedelta(days=1))
        for step in TASKS[name]["steps"]:
            if not self.send(step, values):
                return

    def send(self, step, values):
        headers, body = {}, None
        bearer = step.get("bearer", "token")
        if bearer:
            headers["authorization"] = "Bearer " + values[bearer]
        if step["is_idempotent"]:
            headers["idempotency-key"] = uuid.uuid4().hex
        for member, media_type in (
            ("json", "application/json"),
            ("form", "application/x-www-form-urlencoded"),
        ):
            if member in step:
                headers["content-type"] = media_type
                body = filled(step[member], values)
        with self.client.request(
            step["method"],
            filled(step["path"], values),
            name=step["name"],
            headers=headers,
            data=body,
            catch_response=True,
        ) as response:
            cache = response.headers.get("x-cache")
            if cache in CACHE:
                CACHE[cache] += 1
            if response.status_code != step["status"]:
                response.failure(f"answered {response.status_code}: {response.text[:300]}")
                return False
            document = response.json() if "has" in step or step["save"] else None
            for name, pointer in step["save"].items():
                values[name] = found(document, pointer)
            missing = [place for place in [step.get("has"), *step["save"].values()]
                       if place and found(document, place) is None]
            if missing:
                response.failure(f"the answer has no {missing[0]}")
            return not missing


@@CLASSES@@


@events.quitting.add_listener
def judge(environment, **_):
    """Ends with 1 if a threshold is not met."""
    total = environment.stats.total
    broken = [] if total.num_requests else ["nothing was answered"]
    errors = 100 * total.fail_ratio
    if errors > THRESHOLDS["max_errors_percent"]:
        broken.append(f"{errors:.2f}% errors")
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        millis = total.get_response_time_percentile(int(name[1:3]) / 100)
        if millis > THRESHOLDS[name] * PATIENCE:
            broken.append(f"{name[:3]} {millis} ms")
    methods = {step["name"]: step["method"] for one in TASKS.values() for step in one["steps"]}
    for bound in THRESHOLDS["steps"]:
        entry = environment.stats.get(bound["name"], methods[bound["name"]])
        millis = entry.get_response_time_percentile(0.95) if entry.num_requests else 0
        if millis > bound["p95_ms"] * PATIENCE:
            broken.append(f"{bound['name']}: p95 {millis} ms")
    looked = CACHE["hit"] + CACHE["miss"]
    hits = 100 * CACHE["hit"] / looked if looked else 0.0
    if hits < (KIND.get("min_cache_hits_percent") or 0):
        broken.append(f"{hits:.1f}% of the look-ups hit")
    print(f"turnpike: {total.num_requests} requests, {hits:.1f}% of the look-ups hit")
    for reason in broken:
        print(f"turnpike: threshold not met: {reason}")
    environment.process_exit_code = 1 if broken else 0
