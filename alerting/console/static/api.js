// Talking to the console's server.

let csrfToken = "";

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.reason = error.reason;
  }
}

async function answer(response) {
  const body = await response.json().catch(() => ({ error: { reason: "NO_ANSWER", message: "no answer" } }));
  if (response.status === 401) location.reload();
  if (!response.ok) throw new ApiError(response.status, body.error);
  return body;
}

export async function get(path) {
  return answer(await fetch(path, { credentials: "same-origin" }));
}

export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
    body: JSON.stringify(body),
  });
  return answer(response);
}

export async function openSession() {
  const session = await get("/api/session");
  csrfToken = session.csrfToken;
  return session;
}
