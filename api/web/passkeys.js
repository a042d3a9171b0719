// Passkeys of this browser and its devices: bytes are base64url in JSON. Newer browsers have the same as functions of their own.

import { Problem } from "./problem.js";

/** Whether a passkey can be made or used here: the browser must know them, and the site needs a host name. */
export const hasPasskeys =
  Boolean(globalThis.PublicKeyCredential) && isSecureContext && !/^[\d.]+$|^\[/.test(location.hostname);

/** Asks the person for a new passkey. Resolves with the answer for the server; throws a DOMException if they decline. */
export async function makePasskey(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: options.excludeCredentials.map((one) => ({ ...one, id: bytes(one.id) })),
  };
  const { response, ...made } = await ask("create", publicKey);
  return {
    ...made,
    response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) },
  };
}

/** Asks the person for one of their passkeys. Resolves with the answer for the server; throws a DOMException if they decline. */
export async function usePasskey(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: (options.allowCredentials ?? []).map((one) => ({ ...one, id: bytes(one.id) })),
  };
  const { response, ...used } = await ask("get", publicKey);
  return {
    ...used,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
}

/** Whether the error says that the person declined, or did not answer in time. */
export const isDeclined = (error) => error instanceof DOMException && error.name === "NotAllowedError";

/** What to say of it. */
export const declined = () => new Problem({ title: "No passkey was chosen. You can try again." });

async function ask(act, publicKey) {
  const { id, rawId, type, response } = await navigator.credentials[act]({ publicKey });
  return { id, rawId: text(rawId), type, response };
}

function bytes(encoded) {
  const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

function text(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
