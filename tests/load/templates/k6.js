// The personas of tests/load/scenario.toml for k6, https://k6.io.
//
// @@GENERATED@@
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
const PERSONAS = @@PERSONAS@@;

/** @type {Record<string, Kind>} */
const KINDS = @@KINDS@@;

/** @type {Task[]} */
const TASKS = @@TASKS@@;

const THRESHOLDS = @@THRESHOLDS@@;

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

@@FUNCTIONS@@
