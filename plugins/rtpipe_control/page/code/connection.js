// How the page reaches the kiosk: its event stream, called again each second, and its actions.

const NAMES = ["snapshot", "event", "levels", "state", "condition", "missed", "end"];
const AGAIN_MS = 1000;
const SILENT_MS = 2500;  // states come twice a second
const PATIENCE_MS = 6000;

/** Follow the stream; `tell` is given each message, and `stale` once a second while none comes. */
export function follow(tell, { levels = true } = {}) {
  let source = null;
  let heardAt = performance.now();
  let refused = null;

  const open = () => {
    source = new EventSource(`/api/events?state=1${levels ? "&levels=4" : ""}`);
    for (const name of NAMES) {
      source.addEventListener(name, (message) => {
        heardAt = performance.now();
        refused = null;
        tell({ name, data: JSON.parse(message.data), id: Number(message.lastEventId) || undefined });
      });
    }
    source.onerror = () => {
      source.close();
      setTimeout(open, AGAIN_MS);
      ask();
    };
  };
  // An EventSource does not say why it was refused.
  const ask = async () => {
    try {
      const answer = await fetch("/api/pipeline", { signal: AbortSignal.timeout(PATIENCE_MS) });
      const told = answer.ok ? {} : await answer.json();
      refused = typeof told.error === "string" && told.error ? told : null;
    } catch {
      refused = null;
    }
  };
  setInterval(() => {
    const silent = performance.now() - heardAt;
    if (silent > SILENT_MS) tell({ name: "stale", data: { seconds: Math.floor(silent / 1000), refused } });
  }, 1000);
  open();
  return {
    /** Begin anew, with a whole picture. */
    again() {
      source.close();
      open();
    },
  };
}

/** Carry out an action; returns { ok, result, event, error, help }. It never throws. */
export function act(stage, action, { args = [], kwargs = {} } = {}, options = {}) {
  const path = stage ? `/api/stages/${encodeURIComponent(stage)}/${encodeURIComponent(action)}` : `/api/${action}`;
  return post(path, { args, kwargs }, options);
}

/** Have the files read again; returns { ok, changes, error, help, diagnostics }. */
export function reload(how) {
  return post("/api/reload", how);
}

async function post(path, body, options = {}) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...options,
    });
    return { ok: answer.ok, ...(await answer.json()) };
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { ok: false, error: late ? "no answer within 6 s" : "the kiosk cannot be reached", help: "" };
  }
}
