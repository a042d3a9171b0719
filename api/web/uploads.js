// Uploads of pictures. A file goes on where it was after a lost connection, a reload or a new log-in: the API keeps what has
// arrived of it, and says how much that is (draft-ietf-httpbis-resumable-upload).
//
// This browser remembers an upload under the file's name, size and date. So a second tab with the same file joins in, and
// does not send it a second time.

import { api } from "./api.js";
import { hash, newKey, once } from "./presses.js";
import { Problem } from "./problem.js";
import { session } from "./session.js";

const STORE = "daveslist.uploads";
/** The API forgets an upload after twelve hours, unless its operator chose another time; then it answers 404. */
const KEPT_MS = 12 * 3_600_000;
/** A smaller file is sent in one request: sending it again takes no longer than asking what has arrived. */
const SMALL_BYTES = 128 * 1024;
/**
 * The most that is sent in one request. Some browsers send a request again by themselves when its connection is lost, and some
 * proxies pass on only whole requests: then so much is sent twice.
 */
const PART_BYTES = 1024 * 1024;
/** The pauses after a connection was lost; the first again after every progress. */
const PAUSES_MS = [500, 1_500, 4_000, 10_000];
/** A request of which nothing went out for so long is lost, although no error says so. */
const STILL_MS = 30_000;

/** Uploads a file to a listing, once. Resolves with the picture; calls `told` with 0 to 1. Throws Problem. */
export async function uploadPicture(listingId, file, told) {
  const content = `${session.user?.id} ${listingId} ${file.name} ${file.size} ${file.lastModified}`;
  if (file.size >= SMALL_BYTES) {
    const picture = await inParts(hash(content), listingId, file, told);
    if (picture) return picture;
  }
  return once(`upload ${content}`, (key) => whole(`/api/listings/${listingId}/pictures`, file, key, told));
}

/** The same for a picture that is no listing's, in one request to this path. */
export function uploadWhole(path, file, told) {
  const content = `${session.user?.id} ${path} ${file.name} ${file.size} ${file.lastModified}`;
  return once(`upload ${content}`, (key) => whole(path, file, key, told));
}

/** Resolves with the picture; null if the API begins no such upload now. */
async function inParts(name, listingId, file, told) {
  let [tries, arrived] = [0, 0];
  const goesOn = (offset) => {
    if (offset > arrived) [tries, arrived] = [0, offset];
    told(offset / file.size);
  };
  for (;;) {
    try {
      const upload = await begun(name, listingId, file);
      if (!upload) return null;
      let { offset, picture } = upload;
      goesOn(offset);
      while (!upload.is_complete && !picture) {
        const end = Math.min(offset + PART_BYTES, file.size);
        picture = await append(upload.url, file, offset, end, told);
        offset = end;
        goesOn(offset);
      }
      forget(name);
      // A picture that was removed since is wanted again.
      if (picture) return picture;
    } catch (error) {
      const { status, type } = Problem.of(error);
      // Another tab, or a request of this one that was believed to be lost, has sent more.
      const hasMoved = ["mismatching-upload-offset", "completed-upload"].includes(type);
      const isLost = ["unreachable", "too-slow"].includes(type);
      if (status === 404) forget(name);
      if (!(hasMoved || isLost || status === 404) || tries === PAUSES_MS.length) {
        // With these statuses the file is not what is wrong.
        if (status >= 400 && status < 500 && ![401, 429].includes(status)) forget(name);
        throw error;
      }
      if (isLost) await pause(PAUSES_MS[tries]);
      tries += 1;
    }
  }
}

/** Resolves with where the upload of the file is: a new one, or that of earlier. */
async function begun(name, listingId, file) {
  const known = read()[name] ?? keep(name, { key: newKey(), since: Date.now() });
  if (known.id) return api.get(`/api/uploads/${known.id}`);
  const headers = { "Upload-Length": file.size, "Upload-Complete": "?0" };
  try {
    const upload = await api.begin(`/api/listings/${listingId}/uploads`, known.key, headers);
    keep(name, { ...known, id: upload.id });
    return upload;
  } catch (error) {
    // There are too many uploads, or an API of an earlier version has answered.
    if (![404, 405, 503].includes(error.status)) throw error;
    forget(name);
    return null;
  }
}

/** Sends the file's bytes from `offset` to `end`. Resolves with the picture; null if there is more to send. */
function append(url, file, offset, end, told) {
  const headers = {
    "Content-Type": "application/partial-upload",
    "Upload-Offset": offset,
    "Upload-Complete": end === file.size ? "?1" : "?0",
  };
  const body = file.slice(offset, end);
  return sent("PATCH", url, headers, body, (loaded) => told((offset + loaded * body.size) / file.size));
}

function whole(path, file, key, told) {
  const form = new FormData();
  form.append("picture", file);
  return sent("POST", path, { "Idempotency-Key": `"${key}"` }, form, told);
}

async function sent(method, path, headers, body, told) {
  const token = await session.freshToken();
  try {
    return await sentWith(token, method, path, headers, body, told);
  } catch (error) {
    if (error.status !== 401) throw error;
    const newToken = await session.refresh(token);
    if (!newToken) throw error;
    return sentWith(newToken, method, path, headers, body, told);
  }
}

/** fetch does not report progress. */
function sentWith(token, method, path, headers, body, told) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, path);
    for (const [name, value] of Object.entries({ Authorization: `Bearer ${token}`, ...headers })) xhr.setRequestHeader(name, value);
    let timer;
    const goesOn = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), STILL_MS);
    };
    xhr.upload.onprogress = (event) => {
      goesOn();
      if (event.lengthComputable && event.total) told(event.loaded / event.total);
    };
    // From here on the server works, as long as it needs.
    xhr.upload.onload = () => clearTimeout(timer);
    xhr.onloadend = () => clearTimeout(timer);
    xhr.onerror = xhr.onabort = () => reject(Problem.unreachable());
    xhr.onload = async () => {
      const answer = { status: xhr.status, headers: { "Retry-After": xhr.getResponseHeader("Retry-After") ?? "" } };
      const response = new Response(xhr.responseText || null, answer);
      if (response.ok) resolve(xhr.responseText ? await response.json() : null);
      else reject(await Problem.fromResponse(response));
    };
    goesOn();
    xhr.send(body);
  });
}

/** Waits, while this browser has no connection until it has one. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = navigator.onLine === false ? null : setTimeout(go, milliseconds);
    window.addEventListener("online", go);
    function go() {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      resolve();
    }
  });
}

function read() {
  let known = {};
  try {
    known = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    // Something else wrote there, or the browser has no storage.
  }
  const oldest = Date.now() - KEPT_MS;
  return Object.fromEntries(Object.entries(known).filter(([, { since }]) => since > oldest));
}

function keep(name, upload) {
  write({ ...read(), [name]: upload });
  return upload;
}

function forget(name) {
  const known = read();
  delete known[name];
  write(known);
}

function write(known) {
  try {
    localStorage.setItem(STORE, JSON.stringify(known));
  } catch {
    // Without storage, an upload goes on only until the page is left.
  }
}
