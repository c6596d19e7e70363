"""The personas of tests/load/scenario.toml for Locust, https://locust.io.

Generated: `TURNPIKE_WRITE=1 cargo test -p turnpike-tests --test bench_parts generated`.

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
{
  "load": {
    "name": "load",
    "pause_ms": [
      250,
      750
    ],
    "min_cache_hits_percent": 96.5,
    "max_memory_growth_percent": null,
    "stages": [
      {
        "users": 100,
        "secs": 10
      },
      {
        "users": 100,
        "secs": 110
      }
    ]
  },
  "progressive": {
    "name": "progressive",
    "pause_ms": [
      500,
      1500
    ],
    "min_cache_hits_percent": null,
    "max_memory_growth_percent": null,
    "stages": [
      {
        "users": 100,
        "secs": 60
      },
      {
        "users": 100,
        "secs": 60
      },
      {
        "users": 500,
        "secs": 60
      },
      {
        "users": 1000,
        "secs": 60
      },
      {
        "users": 1000,
        "secs": 60
      }
    ]
  },
  "smoke": {
    "name": "smoke",
    "pause_ms": [
      100,
      300
    ],
    "min_cache_hits_percent": null,
    "max_memory_growth_percent": null,
    "stages": [
      {
        "users": 10,
        "secs": 1
      },
      {
        "users": 10,
        "secs": 29
      }
    ]
  },
  "soak": {
    "name": "soak",
    "pause_ms": [
      250,
      750
    ],
    "min_cache_hits_percent": 96.5,
    "max_memory_growth_percent": 10.0,
    "stages": [
      {
        "users": 50,
        "secs": 30
      },
      {
        "users": 50,
        "secs": 1770
      }
    ]
  },
  "spike": {
    "name": "spike",
    "pause_ms": [
      250,
      750
    ],
    "min_cache_hits_percent": null,
    "max_memory_growth_percent": null,
    "stages": [
      {
        "users": 10,
        "secs": 20
      },
      {
        "users": 500,
        "secs": 5
      },
      {
        "users": 500,
        "secs": 30
      },
      {
        "users": 10,
        "secs": 5
      },
      {
        "users": 10,
        "secs": 30
      }
    ]
  },
  "stress": {
    "name": "stress",
    "pause_ms": [
      250,
      750
    ],
    "min_cache_hits_percent": 96.5,
    "max_memory_growth_percent": null,
    "stages": [
      {
        "users": 500,
        "secs": 30
      },
      {
        "users": 500,
        "secs": 150
      }
    ]
  }
}
"""
)

TASKS = json.loads(
    r"""
{
  "audit_log": {
    "name": "audit_log",
    "persona": "organization_admin",
    "weight": 50,
    "is_native": false,
    "steps": [
      {
        "name": "audit log",
        "method": "GET",
        "path": "/api/v1/audit-log?limit=20",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/events",
        "save": {}
      }
    ]
  },
  "balance": {
    "name": "balance",
    "persona": "end_user",
    "weight": 432,
    "is_native": true,
    "steps": [
      {
        "name": "balance",
        "method": "GET",
        "path": "/api/v1/credits/balance?currency=USD",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/available/amount",
        "save": {}
      }
    ]
  },
  "billing_members": {
    "name": "billing_members",
    "persona": "organization_admin",
    "weight": 60,
    "is_native": false,
    "steps": [
      {
        "name": "billing members",
        "method": "GET",
        "path": "/api/v1/org-billing/organizations/{{organization_id}}/members?currency=USD&limit=50",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/members",
        "save": {}
      }
    ]
  },
  "entitlements": {
    "name": "entitlements",
    "persona": "organization_admin",
    "weight": 40,
    "is_native": false,
    "steps": [
      {
        "name": "entitlements",
        "method": "GET",
        "path": "/api/v1/entitlements?limit=20",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/entitlements",
        "save": {}
      }
    ]
  },
  "estimate": {
    "name": "estimate",
    "persona": "end_user",
    "weight": 30,
    "is_native": true,
    "steps": [
      {
        "name": "estimate",
        "method": "POST",
        "path": "/api/v1/pricing/estimate",
        "json": "{\"plan\": {\"code\": \"load\"}, \"usage\": {\"tokens\": {\"quantity\": \"1200\"}}}",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/total",
        "save": {}
      }
    ]
  },
  "grant": {
    "name": "grant",
    "persona": "system_admin",
    "weight": 10,
    "is_native": false,
    "steps": [
      {
        "name": "grant",
        "method": "POST",
        "path": "/api/v1/credits/grants",
        "json": "{\"user_id\": \"{{user_id}}\", \"amount\": \"1.00\", \"currency\": \"USD\", \"description\": \"load\"}",
        "is_idempotent": true,
        "is_spend": false,
        "status": 201,
        "has": "/grant/id",
        "save": {}
      }
    ]
  },
  "meter": {
    "name": "meter",
    "persona": "end_user",
    "weight": 25,
    "is_native": false,
    "steps": [
      {
        "name": "meter",
        "method": "POST",
        "path": "/api/v1/usage/events",
        "json": "[{\"id\": \"{{unique}}\", \"type\": \"completion\", \"properties\": {\"tokens\": 812, \"model\": \"large\"}}]",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/accepted",
        "save": {}
      }
    ]
  },
  "new_customer": {
    "name": "new_customer",
    "persona": "end_user",
    "weight": 1,
    "is_native": false,
    "steps": [
      {
        "name": "sign up",
        "method": "POST",
        "path": "/api/v1/auth/signup",
        "json": "{\"email\": \"{{unique}}@load.example\", \"password\": \"{{password}}\"}",
        "bearer": "",
        "is_idempotent": false,
        "is_spend": false,
        "status": 202,
        "save": {
          "new_email": "/email"
        }
      },
      {
        "name": "log in, new",
        "method": "POST",
        "path": "/api/v1/auth/login",
        "json": "{\"email\": \"{{new_email}}\", \"password\": \"{{password}}\"}",
        "bearer": "",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "save": {
          "new_token": "/access_token"
        }
      },
      {
        "name": "validate, new",
        "method": "POST",
        "path": "/api/v1/auth/introspect",
        "form": "token={{new_token}}",
        "bearer": "new_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/scope",
        "save": {}
      },
      {
        "name": "meter, new",
        "method": "POST",
        "path": "/api/v1/usage/events",
        "json": "[{\"id\": \"{{unique}}\", \"type\": \"completion\", \"properties\": {\"tokens\": 12}}]",
        "bearer": "new_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/accepted",
        "save": {}
      },
      {
        "name": "balance, new",
        "method": "GET",
        "path": "/api/v1/credits/balance?currency=USD",
        "bearer": "new_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/available/amount",
        "save": {}
      },
      {
        "name": "estimate, new",
        "method": "POST",
        "path": "/api/v1/pricing/estimate",
        "json": "{\"plan\": {\"code\": \"load\"}, \"usage\": {\"tokens\": {\"quantity\": \"1200\"}}}",
        "bearer": "new_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/total",
        "save": {}
      }
    ]
  },
  "permissions": {
    "name": "permissions",
    "persona": "system_admin",
    "weight": 190,
    "is_native": false,
    "steps": [
      {
        "name": "permissions",
        "method": "GET",
        "path": "/api/v1/permissions",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/permissions",
        "save": {}
      }
    ]
  },
  "plans": {
    "name": "plans",
    "persona": "system_admin",
    "weight": 200,
    "is_native": false,
    "steps": [
      {
        "name": "plans",
        "method": "GET",
        "path": "/api/v1/plans?limit=20",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/plans",
        "save": {}
      }
    ]
  },
  "platform_figures": {
    "name": "platform_figures",
    "persona": "system_admin",
    "weight": 350,
    "is_native": false,
    "steps": [
      {
        "name": "platform figures",
        "method": "GET",
        "path": "/api/v1/org-billing/analytics/platform?currency=USD&since={{month_since}}&until={{until}}",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/plans",
        "save": {}
      }
    ]
  },
  "pool": {
    "name": "pool",
    "persona": "organization_admin",
    "weight": 300,
    "is_native": false,
    "steps": [
      {
        "name": "pool",
        "method": "GET",
        "path": "/api/v1/org-billing/organizations/{{organization_id}}/credit-pool?currency=USD",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/available/amount",
        "save": {}
      }
    ]
  },
  "revenue_trends": {
    "name": "revenue_trends",
    "persona": "system_admin",
    "weight": 250,
    "is_native": false,
    "steps": [
      {
        "name": "revenue trends",
        "method": "GET",
        "path": "/api/v1/org-billing/analytics/revenue-trends?currency=USD&interval=day&since={{month_since}}&until={{until}}",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/intervals",
        "save": {}
      }
    ]
  },
  "sign_in_and_out": {
    "name": "sign_in_and_out",
    "persona": "end_user",
    "weight": 2,
    "is_native": false,
    "steps": [
      {
        "name": "log in",
        "method": "POST",
        "path": "/api/v1/auth/login",
        "json": "{\"email\": \"{{email}}\", \"password\": \"{{password}}\"}",
        "bearer": "",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "save": {
          "other_token": "/access_token"
        }
      },
      {
        "name": "who am i, signed in",
        "method": "GET",
        "path": "/api/v1/auth/me",
        "bearer": "other_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/email",
        "save": {}
      },
      {
        "name": "log out",
        "method": "POST",
        "path": "/api/v1/auth/logout",
        "bearer": "other_token",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "save": {}
      }
    ]
  },
  "spend": {
    "name": "spend",
    "persona": "end_user",
    "weight": 6,
    "is_native": true,
    "steps": [
      {
        "name": "spend",
        "method": "POST",
        "path": "/api/v1/credits/consume",
        "json": "{\"amount\": \"0.01\", \"currency\": \"USD\", \"description\": \"one call of the model\"}",
        "is_idempotent": true,
        "is_spend": true,
        "status": 201,
        "has": "/transaction/id",
        "save": {}
      }
    ]
  },
  "spend_from_pool": {
    "name": "spend_from_pool",
    "persona": "organization_admin",
    "weight": 10,
    "is_native": false,
    "steps": [
      {
        "name": "spend from pool",
        "method": "POST",
        "path": "/api/v1/org-billing/organizations/{{organization_id}}/credit-pool/consume",
        "json": "{\"amount\": \"0.01\", \"currency\": \"USD\", \"description\": \"one call of the model\"}",
        "is_idempotent": true,
        "is_spend": true,
        "status": 201,
        "has": "/transaction/id",
        "save": {}
      }
    ]
  },
  "spent_by_day": {
    "name": "spent_by_day",
    "persona": "end_user",
    "weight": 90,
    "is_native": false,
    "steps": [
      {
        "name": "spent by day",
        "method": "GET",
        "path": "/api/v1/credits/usage/summary?currency=USD&group_by=day&since={{month_since}}&until={{until}}",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/groups",
        "save": {}
      }
    ]
  },
  "subscription": {
    "name": "subscription",
    "persona": "organization_admin",
    "weight": 320,
    "is_native": false,
    "steps": [
      {
        "name": "subscription",
        "method": "GET",
        "path": "/api/v1/org-billing/organizations/{{organization_id}}/subscription",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/plan",
        "save": {}
      }
    ]
  },
  "transactions": {
    "name": "transactions",
    "persona": "end_user",
    "weight": 54,
    "is_native": true,
    "steps": [
      {
        "name": "transactions",
        "method": "GET",
        "path": "/api/v1/credits/transactions?currency=USD&limit=20",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/transactions",
        "save": {}
      }
    ]
  },
  "usage_by_day": {
    "name": "usage_by_day",
    "persona": "organization_admin",
    "weight": 220,
    "is_native": true,
    "steps": [
      {
        "name": "usage by day",
        "method": "GET",
        "path": "/api/v1/usage/summary?meter=tokens&interval=day&since={{month_since}}T00:00:00Z&until={{until}}T00:00:00Z",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/groups",
        "save": {}
      }
    ]
  },
  "validate": {
    "name": "validate",
    "persona": "end_user",
    "weight": 240,
    "is_native": true,
    "steps": [
      {
        "name": "validate",
        "method": "POST",
        "path": "/api/v1/auth/introspect",
        "form": "token={{token}}",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/scope",
        "save": {}
      }
    ]
  },
  "who_am_i": {
    "name": "who_am_i",
    "persona": "end_user",
    "weight": 120,
    "is_native": false,
    "steps": [
      {
        "name": "who am i",
        "method": "GET",
        "path": "/api/v1/auth/me",
        "is_idempotent": false,
        "is_spend": false,
        "status": 200,
        "has": "/email",
        "save": {}
      }
    ]
  }
}
"""
)

THRESHOLDS = json.loads(
    r"""
{
  "max_errors_percent": 0.0,
  "p50_ms": 50,
  "p95_ms": 100,
  "p99_ms": 500,
  "steps": [
    {
      "name": "sign up",
      "p95_ms": 1000
    },
    {
      "name": "log in",
      "p95_ms": 500
    },
    {
      "name": "validate",
      "p95_ms": 100
    }
  ]
}
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


class EndUser(TurnpikeUser):
    persona = "end_user"
    weight = 70

    @task(432)
    def balance(self):
        self.run_task("balance")

    @task(240)
    def validate(self):
        self.run_task("validate")

    @task(120)
    def who_am_i(self):
        self.run_task("who_am_i")

    @task(90)
    def spent_by_day(self):
        self.run_task("spent_by_day")

    @task(54)
    def transactions(self):
        self.run_task("transactions")

    @task(30)
    def estimate(self):
        self.run_task("estimate")

    @task(25)
    def meter(self):
        self.run_task("meter")

    @task(6)
    def spend(self):
        self.run_task("spend")

    @task(2)
    def sign_in_and_out(self):
        self.run_task("sign_in_and_out")

    @task(1)
    def new_customer(self):
        self.run_task("new_customer")


class OrganizationAdmin(TurnpikeUser):
    persona = "organization_admin"
    weight = 20

    @task(320)
    def subscription(self):
        self.run_task("subscription")

    @task(300)
    def pool(self):
        self.run_task("pool")

    @task(220)
    def usage_by_day(self):
        self.run_task("usage_by_day")

    @task(60)
    def billing_members(self):
        self.run_task("billing_members")

    @task(50)
    def audit_log(self):
        self.run_task("audit_log")

    @task(40)
    def entitlements(self):
        self.run_task("entitlements")

    @task(10)
    def spend_from_pool(self):
        self.run_task("spend_from_pool")


class SystemAdmin(TurnpikeUser):
    persona = "system_admin"
    weight = 10

    @task(350)
    def platform_figures(self):
        self.run_task("platform_figures")

    @task(250)
    def revenue_trends(self):
        self.run_task("revenue_trends")

    @task(200)
    def plans(self):
        self.run_task("plans")

    @task(190)
    def permissions(self):
        self.run_task("permissions")

    @task(10)
    def grant(self):
        self.run_task("grant")


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
