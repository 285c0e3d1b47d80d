// A delegate's own phone, at the hall whose poster was read: once, with number and PIN or with the own QR code.

import { call } from "./api.js";
import { drawNonce, judge, readCode } from "./checkin-code.js";
import { $, both, setText } from "./dom.js";

/** One delegate's check-in. */
export class SelfCheckin {
  #token;
  #claims;
  #show;
  #attempt = null; // sent again as it is, so that a lost answer counts nobody twice

  constructor(token, claims, show) {
    this.#token = token;
    this.#claims = claims;
    this.#show = show;
    this.told = { kind: "self", state: "open" };
  }

  /** Shows the page. */
  async start() {
    document.body.classList.add("self");
    this.#name(this.#claims.hall, this.#claims.conference);
    $("typed-lead").replaceChildren(...both("Gõ số và mã PIN in trên giấy mời", "Type number and PIN of your invitation"));
    $("camera").replaceChildren(...both("Hoặc quét mã QR của mình", "Or scan your own QR code"));
    $("number").focus();
    try {
      const { hall_name, conference_title } = await call(this.#token, "GET", "/api/v1/checkin");
      this.#name(hall_name, conference_title);
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.#show("expired");
    }
  }

  #name(hall, conference) {
    setText($("hall-name"), hall);
    setText($("conference-title"), conference);
  }

  /** A code that a camera read. */
  async takeCode(digits) {
    const code = digits ? readCode(digits) : null;
    const problem = await judge(code, this.#claims.conference, null);
    if (problem) return this.#show(problem);
    await this.#send({ code: digits }, code.number);
  }

  /** Number and PIN. */
  takeTyped(number, pin) {
    return this.#send({ number, pin }, number);
  }

  async #send(who, number) {
    const same = this.#attempt && JSON.stringify(this.#attempt.who) === JSON.stringify(who);
    if (!same) this.#attempt = { who, at_ms: Date.now(), nonce: drawNonce() };
    const { at_ms, nonce } = this.#attempt;
    const label = `Số ${number}`;
    this.#show("sending", label, { quietly: true });
    try {
      const { result } = await call(this.#token, "POST", "/api/v1/checkin", { schema: 1, ...who, at_ms, nonce });
      this.#show(result, label);
      this.told.state = result;
    } catch (error) {
      this.#show(this.#resultOf(error), label);
    }
  }

  #resultOf(error) {
    if (error.status === 429) return "limited";
    if (error.status === 401 || error.status === 403) return "expired";
    return "offline";
  }
}
