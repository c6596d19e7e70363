// The personas of tests/load/scenario.toml for k6, https://k6.io.
//
// Generated: `TURNPIKE_WRITE=1 cargo test -p turnpike-tests --test bench_parts generated`.
//
//     k6 run -e TURNPIKE_ACCOUNTS=accounts.json -e TURNPIKE_LOAD_KIND=smoke k6.js
//
// `cargo turnpike load accounts` writes accounts.json. TURNPIKE_URL is the host, http://127.0.0.1:3000 if
// absent; TURNPIKE_LOAD_SECONDS makes the course as long, and TURNPIKE_LOAD_PATIENCE multiplies the
// bounds of latencies, for slow machines.

import { check, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import http from 'k6/http';
import { Rate } from 'k6/metrics';

/**
 * @typedef {Object} Step
 * @property {string} name
 * @property {string} method
 * @property {string} path
 * @property {string} [json]
 * @property {string} [form]
 * @property {string} [bearer]
 * @property {boolean} is_idempotent
 * @property {boolean} is_spend
 * @property {number} status
 * @property {string} [has]
 * @property {Record<string, string>} save
 */
/** @typedef {{name: string, persona: string, weight: number, is_native: boolean, steps: Step[]}} Task */
/** @typedef {{users: number, secs: number}} Stage */
/** @typedef {{name: string, pause_ms: number[], min_cache_hits_percent: number | null, max_memory_growth_percent: number | null, stages: Stage[]}} Kind */
/** @typedef {Record<string, string>} Values */

/** @type {Record<string, number>} */
const PERSONAS = {
  "end_user": 70,
  "organization_admin": 20,
  "system_admin": 10
};

/** @type {Record<string, Kind>} */
const KINDS = {
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
};

/** @type {Task[]} */
const TASKS = [
  {
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
  {
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
  {
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
  },
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  {
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
  }
];

const THRESHOLDS = {
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
};

const URL = __ENV.TURNPIKE_URL || 'http://127.0.0.1:3000';
const KIND = KINDS[__ENV.TURNPIKE_LOAD_KIND || 'smoke'];
if (!KIND) {
  throw new Error(`there is no load ${__ENV.TURNPIKE_LOAD_KIND}`);
}
const WHOLE_SECS = KIND.stages.reduce((sum, stage) => sum + stage.secs, 0);
const FACTOR = Number(__ENV.TURNPIKE_LOAD_SECONDS || WHOLE_SECS) / WHOLE_SECS;
const PATIENCE = Number(__ENV.TURNPIKE_LOAD_PATIENCE || '1');

const ACCOUNTS = new SharedArray('accounts', () => {
  /** @type {Values[]} */
  const accounts = JSON.parse(open(__ENV.TURNPIKE_ACCOUNTS || 'accounts.json')).accounts;
  return accounts;
});

const cacheHits = new Rate('cache_hits');

/** @returns {Record<string, string[]>} */
function thresholds() {
  const millis = (/** @type {number} */ bound) => bound * PATIENCE;
  /** @type {Record<string, string[]>} */
  const all = {
    http_req_failed: [`rate<=${THRESHOLDS.max_errors_percent / 100}`],
    http_req_duration: [
      `p(50)<=${millis(THRESHOLDS.p50_ms)}`,
      `p(95)<=${millis(THRESHOLDS.p95_ms)}`,
      `p(99)<=${millis(THRESHOLDS.p99_ms)}`,
    ],
    checks: [`rate>=${1 - THRESHOLDS.max_errors_percent / 100}`],
  };
  for (const bound of THRESHOLDS.steps) {
    all[`http_req_duration{step:${bound.name}}`] = [`p(95)<=${millis(bound.p95_ms)}`];
  }
  if (KIND.min_cache_hits_percent) {
    all.cache_hits = [`rate>=${KIND.min_cache_hits_percent / 100}`];
  }
  return all;
}

export const options = {
  thresholds: thresholds(),
  scenarios: Object.fromEntries(
    Object.entries(PERSONAS).map(([persona, sharePercent]) => [
      persona,
      {
        executor: 'ramping-vus',
        exec: persona,
        startVUs: 0,
        stages: KIND.stages.map((stage) => ({
          target: Math.max(1, Math.round((stage.users * sharePercent) / 100)),
          duration: `${Math.max(1, Math.round(stage.secs * FACTOR * 1000))}ms`,
        })),
      },
    ]),
  ),
};

let count = 0;

/**
 * Who this virtual user is, once it has acted.
 * @type {Values | undefined}
 */
let account;

/** A text that no other request has. */
function unique() {
  count += 1;
  const random = Math.floor(Math.random() * 2 ** 48).toString(16);
  return `k6-${exec.vu.idInTest}-${count}-${random}`;
}

/**
 * The text with the values in their places.
 * @param {string} text
 * @param {Values} values
 */
function filled(text, values) {
  return text.replace(/\{\{([a-z_]+)\}\}/g, (_, name) =>
    name === 'unique' ? unique() : values[name],
  );
}

/**
 * What is at a place of a JSON document, or undefined.
 * @param {any} document
 * @param {string} pointer
 * @returns {any}
 */
function found(document, pointer) {
  let place = document;
  for (const name of pointer.split('/').slice(1)) {
    place = place === null || place === undefined ? undefined : place[name];
  }
  return place === null ? undefined : place;
}

/**
 * Sends one request; whether it was answered as it should be.
 * @param {Step} step
 * @param {Values} values
 */
function send(step, values) {
  /** @type {Record<string, string>} */
  const headers = {};
  const bearer = step.bearer === undefined ? 'token' : step.bearer;
  if (bearer) {
    headers.authorization = `Bearer ${values[bearer]}`;
  }
  if (step.is_idempotent) {
    headers['idempotency-key'] = unique();
  }
  /** @type {string | null} */
  let body = null;
  if (step.json !== undefined) {
    headers['content-type'] = 'application/json';
    body = filled(step.json, values);
  } else if (step.form !== undefined) {
    headers['content-type'] = 'application/x-www-form-urlencoded';
    body = filled(step.form, values);
  }
  const response = http.request(step.method, URL + filled(step.path, values), body, {
    headers,
    tags: { step: step.name, name: step.name },
  });
  const cache = response.headers['X-Cache'];
  if (cache === 'hit' || cache === 'miss') {
    cacheHits.add(cache === 'hit');
  }
  const places = Object.values(step.save);
  if (step.has !== undefined) {
    places.push(step.has);
  }
  /** @type {any} */
  let document;
  const isAnswered =
    check(response, { [`${step.name}: ${step.status}`]: (got) => got.status === step.status }) &&
    (places.length === 0 ||
      check(response, {
        [`${step.name}: the answer has it`]: (got) => {
          document = got.json();
          return places.every((place) => found(document, place) !== undefined);
        },
      }));
  if (isAnswered) {
    for (const [name, place] of Object.entries(step.save)) {
      values[name] = String(found(document, place));
    }
  }
  return isAnswered;
}

/**
 * One task of a persona, drawn by its weight, and the pause after it.
 * @param {string} persona
 */
function act(persona) {
  if (account === undefined) {
    const accounts = ACCOUNTS.filter((one) => one.persona === persona);
    account = accounts[exec.vu.idInTest % accounts.length];
  }
  const tasks = TASKS.filter((one) => one.persona === persona);
  let drawn = Math.random() * tasks.reduce((sum, one) => sum + one.weight, 0);
  const task = tasks.find((one) => (drawn -= one.weight) < 0) || tasks[0];
  const day = (/** @type {number} */ days) =>
    new Date(Date.now() + days * 86400000).toISOString().slice(0, 10);
  /** @type {Values} */
  const values = { ...account, month_since: day(-29), until: day(1) };
  task.steps.every((step) => send(step, values));
  const [shortest, longest] = KIND.pause_ms;
  sleep((shortest + Math.random() * (longest - shortest)) / 1000);
}

export function end_user() {
  act('end_user');
}

export function organization_admin() {
  act('organization_admin');
}

export function system_admin() {
  act('system_admin');
}
