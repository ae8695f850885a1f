// The moderator's desk: shows leased posts one after the other, turns keys into presses, and gets them saved.
//
// A press is written to localStorage first, sent to /api/label/sync in order, and forgotten only when the server says
// that it is saved or refused. Streamlit calls the default export again whenever its data change, so everything that
// lives longer stands in a Desk, one for each mounted component.

const SYNC_URL = "/api/label/sync";
const FAMILY_URL = "/api/label/family";
const SPLIT_URL = "/api/label/split";
const SIBLINGS_URL = "/api/label/siblings";
const GUIDELINES_URL = "/api/guidelines";
const TOKENS_NAMED = 12;
const SURE_MS = 400; // the second click of a double click is no second thought
const FAST_S = 1; // a decision under it can hardly have been read
const FAST_RUN = 10; // of them in a row, from which on it is said
const RENEW_EVERY_MS = 60_000; // leases last ten minutes; one lost request must not matter
const LOOK_AGAIN_MS = 5_000; // while the queue is empty
const GIVE_UP_MS = 20_000; // a connection that died silently answers nothing, for minutes
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000];
const MOST_AT_ONCE = 100;
const SHAPES = { normal: "●", suspicious: "▲", violation: "■" };
const QUOTE_HEAD = 40; // characters of a folded quotation that are shown
const WORDS_SHOWN = 8; // hit words with their record
const ENOUGH_FOR_PERCENT = 20; // decided posts with a hit word
const MOST_COUNTED = 1_000; // siblings of one kind
const ZOOMS = [0.85, 1, 1.2, 1.45, 1.75];
const BREAKS = [20, 30, 45, 60, 90]; // minutes
const PAUSE_MS = 5 * 60_000; // so long without a press is a break
const SNOOZE_MS = 10 * 60_000;
const ODD = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u; // invisible characters and those that turn the text round

const desks = new Map(); // args.key -> Desk
let told = {}; // what the page says, by a short name, in the language of who looks at it

export default function (args) {
  const { parentElement, data, key } = args;
  told = data.words;
  const root = parentElement.querySelector(".desk");
  let desk = desks.get(key);
  if (!desk || desk.root !== root || desk.data.user !== data.user) {
    desk?.leave();
    desk = new Desk(root, data);
    desks.set(key, desk);
  }
  desk.renew(data);
  return () => {
    desk.leave();
    if (desks.get(key) === desk) desks.delete(key);
  };
}

// --- presses that are not saved yet -----------------------------------------------------------------------------------

class Unsaved {
  constructor(user) {
    this.prefix = `tiebreak-press:${user}:`;
    this.presses = this.stored();
  }
  stored() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(this.prefix)) found.push(JSON.parse(localStorage.getItem(name)));
      }
    } catch {
      return found; // storage is switched off: presses are still counted and sent, but do not survive a reload
    }
    return found.sort((a, b) => a.at - b.at);
  }
  add(press) {
    this.presses.push(press);
    try {
      localStorage.setItem(this.prefix + press.press_id, JSON.stringify(press));
    } catch {
      return;
    }
  }
  remove(id) {
    this.presses = this.presses.filter((press) => press.press_id !== id);
    try {
      localStorage.removeItem(this.prefix + id);
    } catch {
      return;
    }
  }
  find(id) {
    return this.presses.find((press) => press.press_id === id);
  }
}

// --- cards of pages that are gone ---------------------------------------------------------------------------------------

/** Which leases each open page holds, noted in the browser: the next page takes over those of one that crashed. */
class Held {
  constructor(user) {
    this.prefix = `tiebreak-held:${user}:`;
    this.name = this.prefix + newId();
    // While a page lives it holds a lock of its name, which the browser lets go of however the page ends.
    navigator.locks?.request(this.name, () => new Promise((resolve) => (this.letGo = resolve)));
  }
  /** Leases of pages that are gone. Without locks (plain http) the server gives them to this page after a while. */
  async leftBehind() {
    if (!navigator.locks) return [];
    const { held } = await navigator.locks.query();
    const living = new Set([this.name, ...held.map((lock) => lock.name)]);
    try {
      const gone = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix) && !living.has(name));
      const leases = gone.flatMap((name) => readStored(name) ?? []);
      for (const name of gone) localStorage.removeItem(name);
      return leases;
    } catch {
      return [];
    }
  }
  keep(leases) {
    try {
      localStorage.setItem(this.name, JSON.stringify(leases));
    } catch {
      return;
    }
  }
  end() {
    this.letGo?.();
  }
}

// --- the desk ---------------------------------------------------------------------------------------------------------

class Desk {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.unsaved = new Unsaved(data.user);
    this.held = new Held(data.user);
    this.adopting = []; // leases of pages that are gone
    this.cards = []; // cards[0] is on the screen
    this.history = []; // leases decided or skipped here, latest last
    this.models = new Map(); // post -> the model's view of it, shown once the post is decided
    this.recent = [];
    this.left = null;
    this.today = null;
    this.paintedAt = null; // when the card on the screen had been drawn for a frame
    this.shown = null; // lease of the card on the screen
    this.seen = null; // how the model's view of the post was on the screen, if it was
    this.rule = null; // of the guidelines, that the post on the screen breaks
    this.writing = null; // what is being written: a note, or what the lead is to look at
    this.note = "";
    this.correcting = null; // a decision of the list
    this.fastRun = 0;
    this.failures = 0;
    this.inFlight = false;
    this.again = false;
    this.isGone = false;
    this.answered = false;
    this.dropped = 0;
    this.own = new Own(this);
    this.copies = new NearCopies(this);
    this.siblings = new Siblings(this);
    this.guidelines = new Guidelines(this);
    this.stop = new AbortController();
    this.build();
    this.listen();
    this.draw();
    this.begin();
  }

  async begin() {
    this.adopting = await this.held.leftBehind();
    this.sync();
  }

  renew(data) {
    this.data = data;
    const background = getComputedStyle(this.root).getPropertyValue("--st-background-color").trim();
    this.root.classList.toggle("dark", isDark(background));
  }

  $(selector) {
    return this.root.querySelector(selector);
  }

  build() {
    const { words } = this.data;
    for (const place of this.root.querySelectorAll("[data-word]")) place.textContent = words[place.dataset.word];
    for (const place of this.root.querySelectorAll("[data-name]")) place.setAttribute("aria-label", words[place.dataset.name]);
    const answers = this.$(".answers");
    const tools = this.$(".tools");
    answers.replaceChildren(
      ...this.data.labels.map((label, index) => {
        const button = element("button", label.name, { type: "button" });
        button.append(element("kbd", "", {}, String(index + 1)), element("span", "shape", {}, SHAPES[label.name]));
        button.append(element("span", "", {}, told[label.name]));
        if (told[label.name] !== label.chinese) button.append(element("span", "", { lang: "zh" }, label.chinese));
        button.onmousedown = (event) => event.preventDefault(); // focused, it would be given again by Space and Enter
        button.onclick = () => this.answer(label.name);
        return button;
      }),
    );
    const actions = [
      ["0", "later", () => this.skip("later"), words.later],
      ["O", "others", () => this.skip("not_me"), words.to_others],
      ["X", "cannot-judge", () => this.skip("cannot_judge"), words.cannot_judge],
      ["F", "flag", () => this.toggleFlag(), words.flag],
      ["N", "note", () => this.write("note"), words.note],
      ["U", "undo", () => this.undo(), words.undo],
      ["M", "model", () => this.toggleModel(), words.model],
      ["H", "original", () => this.toggleOriginal(), words.original],
      ["Q", "quotes", () => this.toggleQuotes(), words.quotes],
      ["T", "siblings", () => this.siblings.toggle(), words.siblings],
      ["L", "forum", () => this.openForum(), words.forum],
      ["G", "guidelines", () => this.guidelines.toggle(), words.guidelines],
      ["?", "help", () => this.toggleHelp(), words.help],
    ];
    tools.replaceChildren(
      ...actions.map(([key, name, act, shown]) => {
        const button = element("button", `tool-${name}`, { type: "button" });
        button.append(element("kbd", "", {}, key), ` ${shown}`);
        button.onclick = act;
        return button;
      }),
    );
    const keys = [
      ["1 2 3", this.data.labels.map((label) => words[label.name]).join(", ")],
      ["0 S", words.key_later],
      ["O", words.key_others],
      ["X", words.key_cannot],
      ["U Backspace", words.key_undo],
      [RULE_KEYS.slice(0, this.data.rules.length).join(" "), words.key_rule],
      ["N", words.key_note],
      ["F", words.key_flag],
      ["M", words.key_model],
      ["A", words.key_copies],
      ["H", words.key_original],
      ["Q", words.key_quotes],
      ["T", words.key_siblings],
      ["L", words.key_forum],
      ["G", words.key_guidelines],
      ["Z", words.key_zoom],
      ["D", words.key_dark],
      ["?", words.key_help],
      ["Esc", words.key_escape],
    ];
    this.$(".help table").replaceChildren(
      ...keys.map(([key, what]) => {
        const row = document.createElement("tr");
        row.append(element("td", ""), element("td", "", {}, what));
        row.firstChild.append(element("kbd", "", {}, key));
        return row;
      }),
    );
    this.buildRules();
    const form = this.$("form.writing");
    form.onsubmit = (event) => {
      event.preventDefault();
      this.written();
    };
    form.querySelector("input").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.stopWriting();
    });
    this.$(".help button").onclick = () => this.$(".help").close();
    this.$(".notice button").onclick = () => this.say("");
  }

  buildRules() {
    this.$(".rules").replaceChildren(
      ...this.data.rules.map((rule, index) => {
        const button = element("button", "", { type: "button", "data-rule": rule.key, "aria-pressed": "false" });
        if (index < RULE_KEYS.length) button.append(element("kbd", "", {}, RULE_KEYS[index]), " ");
        button.append(element("span", "", { title: rule.english }, rule.words));
        button.onmousedown = (event) => event.preventDefault();
        button.onclick = () => this.toggleRule(rule.key);
        return button;
      }),
    );
  }

  listen() {
    const options = { signal: this.stop.signal };
    window.addEventListener("keydown", (event) => this.onKey(event), { ...options, capture: true });
    window.addEventListener("online", () => this.sync(), options);
    document.addEventListener("visibilitychange", () => !document.hidden && this.sync(), options);
    window.addEventListener("pagehide", () => this.send(true), options);
    window.addEventListener("pageshow", (event) => event.persisted && this.sync(), options);
    window.addEventListener(
      "beforeunload",
      (event) => {
        if (this.unsaved.presses.length && this.failures) event.preventDefault();
      },
      options,
    );
    this.timer = setInterval(() => this.sync(), RENEW_EVERY_MS);
  }

  leave() {
    if (this.isGone) return;
    this.isGone = true;
    this.stop.abort();
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.send(true);
    this.held.end();
  }

  // --- keys ---

  onKey(event) {
    const target = event.composedPath()[0];
    const isTyping = target?.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target?.tagName ?? "");
    if (event.repeat && event.key === "Enter") event.preventDefault(); // a held Enter clicks a focused button again and again
    if (event.repeat || event.isComposing || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    const action = actionOf(event);
    if (!action) return;
    if (this.$(".help").open && action !== "help" && action !== "escape") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (action in ANSWERS) this.answer(this.data.labels[ANSWERS[action]].name);
    else if (action.startsWith("rule")) this.toggleRule(this.data.rules[Number(action.slice(4))]?.key);
    else if (action === "later") this.skip("later");
    else if (action === "others") this.skip("not_me");
    else if (action === "cannot") this.skip("cannot_judge");
    else if (action === "flag") this.toggleFlag();
    else if (action === "note") this.write("note");
    else if (action === "undo") this.undo();
    else if (action === "model") this.toggleModel();
    else if (action === "original") this.toggleOriginal();
    else if (action === "quotes") this.toggleQuotes();
    else if (action === "family") this.copies.toggle();
    else if (action === "siblings") this.siblings.toggle();
    else if (action === "guidelines") this.guidelines.toggle();
    else if (action === "forum") this.openForum();
    else if (action === "zoom") this.own.zoomRound(event.shiftKey ? -1 : 1);
    else if (action === "dark") this.own.toggleDark();
    else if (action === "help") this.toggleHelp();
    else this.escape();
  }

  answer(label) {
    if (this.correcting) {
      this.correct(label);
      return;
    }
    const card = this.ready();
    if (!card || !this.copies.isReady()) return;
    const until = this.copies.until();
    const seconds = (performance.now() - this.paintedAt) / 1000;
    this.press({
      kind: "decide",
      lease_id: card.lease_id,
      post_id: card.post_id,
      text_id: card.text_id,
      label,
      ...this.sawAs(card.model, this.seen),
      seconds,
      ...(this.rule ? { rule: this.rule } : {}),
      ...(this.note ? { note: this.note } : {}),
      ...(until === null ? {} : { family_until: until }),
    });
    if (until !== null) this.copies.decided = card.lease_id;
    if (card.model) this.models.set(card.post_id, card.model);
    this.next(card);
    this.warnOfHaste(seconds);
  }

  /** A word about a run of very fast decisions; it goes with the first that took its time. */
  warnOfHaste(seconds) {
    this.fastRun = seconds < FAST_S ? this.fastRun + 1 : 0;
    if (this.fastRun < FAST_RUN || !this.$(".notice").hidden) return;
    this.say(fill(told.fast, { count: this.fastRun }));
  }

  skip(kind) {
    const card = this.ready();
    if (!card) return;
    this.press({ kind: "skip", skip_kind: kind, lease_id: card.lease_id, post_id: card.post_id });
    this.next(card);
  }

  toggleRule(key) {
    if (!key || this.shown === null) return;
    this.rule = this.rule === key ? null : key;
    this.drawRule();
  }

  /** Open the line for a note on the decision, or for what the lead is to look at. */
  write(what) {
    if (!this.ready()) return;
    this.writing = what;
    const form = this.$("form.writing");
    form.querySelector("label").textContent = what === "flag" ? told.write_flag : told.write_note;
    form.querySelector("input").value = what === "flag" ? "" : this.note;
    form.hidden = false;
    form.querySelector("input").focus();
  }

  written() {
    const text = this.$("form.writing input").value.trim();
    const card = this.cards[0];
    if (this.writing === "flag") {
      this.press({ kind: "flag", lease_id: card.lease_id, post_id: card.post_id, note: text });
      card.flag = text;
    } else this.note = text;
    this.stopWriting();
  }

  stopWriting() {
    this.writing = null;
    this.$("form.writing").hidden = true;
    this.$("form.writing input").blur();
    this.drawNoted();
  }

  toggleFlag() {
    const card = this.ready();
    if (!card) return;
    if (card.flag === null) {
      this.write("flag");
      return;
    }
    this.press({ kind: "unflag", lease_id: card.lease_id, post_id: card.post_id });
    card.flag = null;
    this.drawNoted();
  }

  next(card) {
    this.history.push(card.lease_id);
    this.cards.shift();
    this.draw();
    this.noteHeld();
  }

  noteHeld() {
    this.held.keep(this.cards.map((card) => card.lease_id));
  }

  undo() {
    const lease = this.history.pop();
    const decision = this.recent[0]?.decision_id;
    if (lease === undefined && decision === undefined) {
      this.say(told.nothing_to_undo);
      return;
    }
    if (lease === undefined) {
      if (this.isUndoing()) return; // the list is out of date until the answer is here
      this.press({ kind: "undo", decision_id: decision });
    } else this.press({ kind: "undo", lease_id: lease });
    this.draw();
  }

  correct(label) {
    const made = this.correcting;
    this.correcting = null;
    this.press({ kind: "correct", decision_id: made.decision_id, post_id: made.post_id, text_id: made.text_id, label, ...this.sawAs(this.models.get(made.post_id), "after") });
    this.draw();
  }

  escape() {
    if (this.$(".help").open) this.$(".help").close();
    else if (this.correcting) {
      this.correcting = null;
      this.drawRecent();
    } else if (this.copies.isOpen) this.copies.close();
    else if (this.siblings.isOpen) this.siblings.close();
    else if (this.guidelines.isOpen) this.guidelines.close();
    else this.say("");
  }

  /** The card that a press counts for: it must have been on the screen for a frame. */
  ready() {
    const card = this.cards[0];
    if (card && this.shown === card.lease_id && this.paintedAt !== null && !this.isUndoing()) return card;
    this.dropped += 1;
    this.say(counted("dropped", this.dropped));
    return null;
  }

  isUndoing() {
    return this.unsaved.presses.some((press) => press.kind === "undo");
  }

  press(fields) {
    if (!this.isRefusal) this.say(""); // a refusal stays until it is dismissed
    this.own.worked();
    this.unsaved.add({ press_id: newId(), at: Date.now() + this.unsaved.presses.length / 1000, ...fields });
    this.drawCounts();
    this.sync();
  }

  // --- talking to the server ---

  async sync() {
    if (this.isGone) return;
    if (this.inFlight) {
      this.again = true;
      return;
    }
    clearTimeout(this.retry);
    this.inFlight = true;
    this.again = false;
    try {
      await this.exchange();
    } finally {
      this.inFlight = false;
    }
    if (this.again && !this.failures) this.sync();
  }

  async exchange() {
    const { adopting } = this;
    let response;
    try {
      response = await this.send(false);
      if (response.ok) {
        const answer = await response.json();
        this.adopting = this.adopting.filter((lease) => !adopting.includes(lease));
        if (this.failures) this.say("");
        this.take(answer); // after that: it may say what was refused
      }
    } catch {
      response = null;
    }
    if (this.isGone) return;
    if (response?.ok) {
      this.failures = 0;
      if (!this.cards.length) this.retry = setTimeout(() => this.sync(), LOOK_AGAIN_MS);
      return;
    }
    this.failures += 1;
    this.explain(response);
    this.retry = setTimeout(() => this.sync(), RETRY_MS[Math.min(this.failures, RETRY_MS.length) - 1]);
  }

  send(leaving) {
    const midnight = new Date();
    midnight.setHours(0, 0, 0, 0);
    const presses = this.unsaved.presses.slice(0, MOST_AT_ONCE).map(({ at, ...press }) => press);
    const body = {
      presses,
      holding: this.cards.map((card) => card.lease_id),
      adopting: this.adopting,
      want: this.data.want,
      today: midnight.toISOString(),
      leaving,
    };
    this.again = this.unsaved.presses.length > MOST_AT_ONCE;
    const sent = fetch(SYNC_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Csrf-Token": this.data.csrf },
      body: JSON.stringify(body),
      keepalive: leaving,
      signal: leaving ? undefined : AbortSignal.timeout(GIVE_UP_MS), // sending again is safe
      credentials: "same-origin",
    });
    if (leaving) sent.then((r) => r.ok && r.json()).then((a) => a && this.forget(a), () => null);
    return sent;
  }

  forget(answer) {
    for (const id of answer.acked) this.unsaved.remove(id);
  }

  async explain(response) {
    const waiting = this.unsaved.presses.length;
    const kept = waiting ? ` ${counted("kept", waiting)}` : "";
    if (response === null) this.say(told.offline + kept);
    else if (response.status === 401) this.say(told.signed_out + kept, told.sign_in, "/signin?next=%2Flabel");
    else {
      const answer = await response.json().catch(() => ({}));
      this.say((answer.error ?? fill(told.answered, { status: response.status })) + kept, told.reload, "");
    }
    this.drawCounts();
  }

  take(answer) {
    this.answered = true;
    this.forget(answer);
    const refused = answer.refused.map((refusal) => {
      const press = this.unsaved.find(refusal.press_id);
      this.unsaved.remove(refusal.press_id);
      if (!press?.label) return fill(told.not_taken, { reason: refusal.reason });
      return fill(told.not_taken_label, { label: told[press.label], post: press.post_id, reason: refusal.reason });
    });
    if (refused.length) {
      this.say(refused.join("\n"));
      this.isRefusal = true;
    }
    const back = new Set(answer.refused.map((refusal) => refusal.lease_id));
    this.history = this.history.filter((lease) => !back.has(lease));
    const onScreen = this.cards[0]?.lease_id;
    const fresh = new Map(answer.cards.map((card) => [card.lease_id, card]));
    const isChanged = fresh.has(onScreen);
    this.cards = this.cards.filter((card) => !answer.lost.includes(card.lease_id) || !this.isLost(card));
    this.cards = this.cards.map((card) => {
      const better = fresh.get(card.lease_id);
      fresh.delete(card.lease_id);
      return better ?? card;
    });
    // What was decided here while the answer was on its way must not come again as if it were new.
    const done = new Set(this.unsaved.presses.map((press) => press.lease_id));
    const arrived = [...fresh.values()].filter((card) => !done.has(card.lease_id) && !this.history.includes(card.lease_id));
    const front = arrived.filter((card) => answer.front.includes(card.lease_id)).reverse();
    this.cards = [...front, ...this.cards, ...arrived.filter((card) => !answer.front.includes(card.lease_id))];
    this.noteHeld();
    this.recent = answer.recent;
    this.left = answer.left;
    this.today = answer.today;
    this.guidelines.offer(answer.new_guidelines === true);
    if (this.correcting && !this.recent.some((made) => made.decision_id === this.correcting.decision_id)) this.correcting = null;
    if (this.cards[0]?.lease_id !== onScreen || isChanged || this.shown === null) this.draw();
    else this.drawBeside();
    this.copies.report();
  }

  isLost(card) {
    return !this.unsaved.presses.some((press) => press.lease_id === card.lease_id);
  }

  // --- drawing ---

  say(text, link = null, href = null) {
    this.isRefusal = false;
    const notice = this.$(".notice");
    notice.hidden = !text;
    notice.querySelector("span").textContent = text;
    const anchor = notice.querySelector("a");
    anchor.hidden = link === null;
    anchor.textContent = link ?? "";
    if (link !== null) anchor.href = href;
  }

  draw() {
    const card = this.isUndoing() ? null : this.cards[0];
    this.paintedAt = null;
    delete this.root.dataset.painted;
    this.shown = card?.lease_id ?? null;
    this.seen = null;
    this.rule = null;
    this.note = "";
    if (this.writing) this.stopWriting();
    this.$(".model").hidden = true;
    this.$(".original").hidden = true;
    this.copies.close();
    this.siblings.close();
    this.$(".text").classList.toggle("waiting", !card);
    this.$(".text").scrollTop = 0;
    if (card) this.drawCard(card);
    else this.drawNothing();
    if (card?.model && card.shows_model) this.showModel(card, "shown");
    else if (card?.model && this.models.has(card.post_id)) this.seen = "after"; // it stood beside what was taken back
    this.drawRule();
    this.drawNoted();
    this.drawBeside();
  }

  drawCard(card) {
    this.$(".reason").textContent = this.data.reasons[card.reason] ?? card.reason;
    const facts = [fill(told.post, { number: card.pid ?? `#${card.post_id}` })];
    if (card.author) facts.push(fill(told.by, { author: card.author }));
    this.$(".facts").textContent = facts.join(" · ");
    const words = card.hits.map((hit) => hit.word);
    this.$(".text").replaceChildren(...readable(card.segments).map((segment) => drawSegment(segment, words, this.data.words.leads_to)));
    this.drawHits(card.hits);
    this.$(".tool-siblings").hidden = !card.siblings;
    this.$(".tool-forum").hidden = !card.forum_link;
    if (!hasOwnWords(card.segments)) this.openQuotes(true); // they are all there is to judge
    this.$(".original pre").replaceChildren(...withOddMarks(card.original));
    const lease = card.lease_id;
    // A frame callback runs before painting; the task after it runs when the frame is on its way to the screen.
    requestAnimationFrame(() =>
      setTimeout(() => {
        if (this.shown === lease && this.paintedAt === null) this.paintedAt = performance.now();
        if (this.shown === lease) this.root.dataset.painted = String(card.post_id);
      }),
    );
  }

  /** Each hit word with its record so far. */
  drawHits(hits) {
    const line = this.$(".hits");
    line.hidden = !hits.some((hit) => hit.word);
    const shown = hits.slice(0, WORDS_SHOWN).map((hit) => {
      const word = element("span", "hit");
      word.append(element("mark", "", { lang: "zh" }, visible(hit.word)), ` ${this.recordOf(hit)}`);
      return word;
    });
    const more = hits.length - WORDS_SHOWN;
    if (more > 0) shown.push(element("span", "", {}, fill(this.data.words.and_more, { count: more.toLocaleString("en") })));
    line.replaceChildren(...shown);
  }

  recordOf({ decided, violations }) {
    const { words } = this.data;
    if (!decided) return words.none_decided;
    const share = decided < ENOUGH_FOR_PERCENT ? violations.toLocaleString("en") : percent(violations / decided);
    return fill(words.record, { share, decided: decided.toLocaleString("en") });
  }

  drawRule() {
    for (const button of this.$(".rules").children) {
      button.setAttribute("aria-pressed", String(button.dataset.rule === this.rule));
      button.disabled = this.shown === null;
    }
  }

  drawNoted() {
    const flag = this.shown === null ? null : this.cards[0]?.flag ?? null;
    const parts = [];
    if (flag !== null) parts.push(flag ? fill(told.flagged_why, { note: visible(flag) }) : told.flagged);
    if (this.note) parts.push(fill(told.noted, { note: visible(this.note) }));
    const line = this.$(".noted");
    line.hidden = !parts.length;
    line.querySelector("span").textContent = parts.join(" · ");
    this.$(".tool-flag").setAttribute("aria-pressed", String(flag !== null));
  }

  drawNothing() {
    this.$(".hits").hidden = true;
    this.$(".tool-siblings").hidden = true;
    this.$(".tool-forum").hidden = true;
    this.$(".reason").textContent = "";
    this.$(".facts").textContent = "";
    this.$(".text").textContent = this.isUndoing()
      ? told.bringing_back
      : !this.answered
        ? told.fetching
        : this.left
          ? told.in_other_hands
          : this.data.has_posts || this.recent.length
            ? told.queue_empty
            : told.no_posts;
  }

  drawBeside() {
    this.drawCounts();
    this.drawRecent();
  }

  drawCounts() {
    const waiting = this.unsaved.presses.length;
    this.$(".unsaved").classList.toggle("some", waiting > 0);
    this.$(".unsaved dd").textContent = waiting.toLocaleString("en");
    this.$(".today dd").textContent = this.today?.toLocaleString("en") ?? "–";
    this.$(".left dd").textContent = this.left?.toLocaleString("en") ?? "–";
    const hasModel = Boolean(this.cards[0]?.model);
    this.$(".tool-model").title = hasModel ? "" : told.no_view;
  }

  drawRecent() {
    const backTo = this.focusedMade();
    this.$(".recent").replaceChildren(...this.recent.map((made) => this.drawMade(made)));
    backTo();
    this.$("aside .hint").textContent = this.correcting
      ? told.correcting
      : this.recent.length
        ? told.click_one
        : told.none_yet;
  }

  /** Who goes through the list by keyboard stays where they are when it is drawn anew; returns what brings them there. */
  focusedMade() {
    const focused = this.root.getRootNode().activeElement;
    const entry = focused?.closest(".recent li");
    if (!entry) return () => null;
    const place = [...entry.querySelectorAll("button")].indexOf(focused);
    return () => {
      const buttons = this.root.querySelectorAll(`.recent li[data-post="${entry.dataset.post}"] button`);
      (buttons[place] ?? buttons[0] ?? this.$(".recent button"))?.focus({ preventScroll: true });
    };
  }

  drawMade(made) {
    const isChosen = this.correcting?.decision_id === made.decision_id;
    const entry = element("li", `${made.label}${isChosen ? " chosen" : ""}`, { "data-post": String(made.post_id) });
    const row = element("button", "row", { type: "button", title: told[made.label] });
    row.append(element("span", "shape", {}, SHAPES[made.label]), element("span", "", {}, visible(made.text)));
    if (made.copies) {
      const more = element("span", "more", { title: counted("and_copies", made.copies) }, `+${made.copies.toLocaleString("en")}`);
      row.append(more);
    }
    row.onclick = () => {
      this.correcting = this.correcting?.decision_id === made.decision_id ? null : made;
      this.drawRecent();
    };
    entry.append(row);
    const model = this.models.get(made.post_id);
    const why = [this.data.rules.find((rule) => rule.key === made.rule)?.words ?? made.rule, made.note && visible(made.note)];
    if (why.some(Boolean)) entry.append(element("div", "said", {}, why.filter(Boolean).join(" · ")));
    if (model) entry.append(element("div", "said", {}, fill(told.model_says, { label: told[model.label], share: percent(model.probabilities[model.label]) })));
    if (isChosen) entry.append(this.drawFix());
    return entry;
  }

  drawFix() {
    const fix = element("div", "fix");
    for (const label of this.data.labels) {
      const button = element("button", label.name, { type: "button" }, `${SHAPES[label.name]} ${told[label.name]}`);
      button.onclick = () => this.correct(label.name);
      fix.append(button);
    }
    return fix;
  }

  toggleModel() {
    const section = this.$(".model");
    const card = this.cards[0];
    if (!card || this.shown !== card.lease_id) return;
    section.hidden = !section.hidden;
    if (section.hidden) return;
    if (!card.model) {
      const why = card.blind ? told.blind : told.unscored;
      section.replaceChildren(element("p", "hint", {}, why));
      return;
    }
    this.showModel(card, "asked");
  }

  /** What goes with a press whose maker has seen the model's view. */
  sawAs(model, seen) {
    return model && seen ? { seen, version_id: model.version_id } : {};
  }

  showModel(card, seen) {
    this.seen ??= seen;
    const section = this.$(".model");
    section.hidden = false;
    const bars = this.data.labels.map(({ name }) => {
      const share = card.model.probabilities[name];
      const bar = element("div", `bar ${name}`);
      const fill = element("i", "");
      fill.style.width = `${share * 100}%`;
      const track = element("span", "");
      track.append(fill);
      fill.style.display = "block";
      bar.append(element("span", "", {}, told[name]), track, element("b", "", {}, percent(share)));
      return bar;
    });
    section.replaceChildren(element("h3", "", {}, fill(told.model_view, { version: card.model.version })), ...bars);
  }

  toggleOriginal() {
    if (this.shown !== null) this.$(".original").hidden = !this.$(".original").hidden;
  }

  /** Only ever on purpose; the forum is not told where its visitor comes from. */
  openForum() {
    const link = this.shown === null ? null : this.cards[0]?.forum_link;
    if (link) window.open(link, "_blank", "noopener,noreferrer");
    else if (this.shown !== null) this.say(this.data.words.no_forum);
  }

  toggleQuotes() {
    const quotes = [...this.root.querySelectorAll(".text details")];
    this.openQuotes(quotes.some((quote) => !quote.open));
  }

  openQuotes(open) {
    for (const quote of this.root.querySelectorAll(".text details")) quote.open = open;
  }

  toggleHelp() {
    const help = this.$(".help");
    if (help.open) help.close();
    else help.showModal();
  }
}

// --- near-copies ------------------------------------------------------------------------------------------------------

/** The near-copies of the post on the screen: fetched when asked for; what a press decides along is what was painted. */
class NearCopies {
  constructor(desk) {
    this.desk = desk;
    this.isOpen = false;
    this.preview = null; // as the server told it
    this.paintedAt = null;
    this.decided = null; // lease whose near-copies were decided along, until the server has said how many
    this.asked = 0; // answers to earlier questions are of no interest
  }

  get card() {
    return this.desk.cards[0];
  }

  get panel() {
    return this.desk.$(".family");
  }

  toggle() {
    if (this.isOpen) this.close();
    else if (this.desk.ready()) this.open();
  }

  open() {
    if (!this.card.copies) {
      this.desk.say(told.no_copies);
      return;
    }
    this.desk.siblings.close();
    this.isOpen = true;
    this.load();
    this.drawLine();
  }

  close() {
    this.isOpen = false;
    this.preview = null;
    this.paintedAt = null;
    this.asked += 1;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.desk.root.classList.remove("comparing");
    this.drawLine();
  }

  drawLine() {
    const count = this.desk.isUndoing() ? 0 : this.card?.copies ?? 0;
    const line = this.desk.$(".copies");
    line.hidden = !count;
    line.querySelector("span").textContent = counted("and_copies", count);
    const button = line.querySelector("button");
    button.querySelector("span").textContent = this.isOpen ? told.leave : told.compare;
    button.setAttribute("aria-expanded", String(this.isOpen));
    button.onmousedown = (event) => event.preventDefault();
    button.onclick = () => this.toggle();
  }

  /** Whether a press counts: not while what it would decide along is still to be seen. */
  isReady() {
    if (!this.isOpen || this.paintedAt !== null) return true;
    this.desk.say(told.copies_not_seen);
    return false;
  }

  /** The newest post that a press decides along; null when it decides the post alone. */
  until() {
    return this.preview?.total ? this.preview.newest : null;
  }

  async load() {
    const turn = this.begin();
    this.show([element("p", "hint", {}, told.fetching_copies)], turn);
    const { answer, error } = await askServer(`${FAMILY_URL}?post_id=${this.card.post_id}`);
    if (turn !== this.asked) return;
    this.preview = answer;
    if (answer) this.card.copies = answer.total;
    this.drawLine();
    const content = error ? this.drawError(error) : answer.total ? this.drawPreview() : [this.drawAlone()];
    this.show(content, turn, true);
  }

  begin() {
    this.preview = null;
    this.paintedAt = null;
    this.asked += 1;
    return this.asked;
  }

  show(content, turn, isWhole = false) {
    const wasHidden = this.panel.hidden;
    this.panel.hidden = false;
    this.panel.replaceChildren(...content);
    this.desk.root.classList.add("comparing");
    if (wasHidden) {
      this.panel.scrollTop = 0;
      this.panel.focus({ preventScroll: true }); // so that the arrow keys scroll it
    }
    if (!isWhole) return;
    requestAnimationFrame(() =>
      setTimeout(() => {
        if (turn === this.asked) this.paintedAt = performance.now();
      }),
    );
  }

  drawError(error) {
    return [
      element("p", "now", { role: "alert" }, fill(told.copies_failed, { error })),
      element("p", "hint", {}, told.decides_alone),
    ];
  }

  drawAlone() {
    return element("p", "now", {}, told.no_copy_left);
  }

  drawPreview() {
    const { total, telling, copies } = this.preview;
    const parts = [element("p", "now", {}, counted("decides_copies", total))];
    if (telling) parts.push(this.drawTelling());
    const legend = element("p", "hint", {}, `${told.legend} `);
    legend.append(element("span", "new", {}, told.legend_more), " ", element("span", "gone", {}, told.legend_less));
    if (copies.length < total) {
      legend.append(` ${fill(told.first_of, { count: copies.length, total: total.toLocaleString("en") })}`);
    }
    const list = element("ol", "", { lang: "zh" });
    list.append(...copies.map((copy) => this.drawCopy(copy)));
    return [...parts, legend, list];
  }

  drawTelling() {
    const { telling, copies } = this.preview;
    const tokens = [...new Set(copies.flatMap((copy) => copy.telling))];
    const line = element("p", "telling", {}, `${counted("telling", telling)} `);
    tokens.slice(0, TOKENS_NAMED).forEach((token, index) => {
      line.append(index ? " " : "", element("code", "", {}, visible(token)));
    });
    const more = tokens.length - TOKENS_NAMED;
    if (more > 0) line.append(` ${fill(told.more_below, { count: more.toLocaleString("en") })}`);
    return line;
  }

  drawCopy(copy) {
    const entry = element("li", "", { "data-post": String(copy.post_id) });
    const text = element("p", "");
    for (const piece of copy.pieces) {
      const role = { new: { role: "insertion" }, gone: { role: "deletion" } }[piece.kind] ?? {};
      const part = element("span", piece.kind, role);
      part.append(...withOddMarks(piece.text));
      text.append(part);
    }
    const split = element("button", "", { type: "button" }, told.split);
    split.onclick = () => this.split(copy, split);
    split.onblur = () => this.calm(split);
    const facts = [fill(told.post, { number: copy.pid ?? `#${copy.post_id}` })];
    if (copy.telling.length) facts.push(fill(told.differs, { what: copy.telling.map(visible).join(", ") }));
    entry.append(text, element("small", "", { lang: document.documentElement.lang }, facts.join(" · ")), split);
    return entry;
  }

  calm(button) {
    button.classList.remove("sure");
    button.textContent = told.split;
    delete button.dataset.since;
  }

  async split(copy, button) {
    if (button.dataset.since === undefined) {
      button.classList.add("sure");
      button.textContent = told.split_sure;
      button.dataset.since = String(performance.now());
      return;
    }
    if (performance.now() - Number(button.dataset.since) < SURE_MS) return;
    const turn = this.begin(); // no press counts until the rest has been seen again
    for (const other of this.panel.querySelectorAll("button")) other.disabled = true;
    const { error } = await askServer(SPLIT_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Csrf-Token": this.desk.data.csrf },
      body: JSON.stringify({ post_id: copy.post_id }),
    });
    if (turn !== this.asked) return;
    if (error) this.desk.say(fill(told.not_split, { error }));
    await this.load();
    if (this.isOpen) this.panel.focus({ preventScroll: true });
  }

  /** Say how many were decided once the server has; only while U would undo just that. */
  report() {
    const { desk, decided } = this;
    if (decided === null || desk.unsaved.presses.some((press) => press.lease_id === decided)) return;
    this.decided = null;
    const made = desk.recent.find((found) => found.lease_id === decided);
    if (made?.copies && desk.history.at(-1) === decided && !desk.isRefusal) {
      desk.say(fill(told.decided_all, { count: (made.copies + 1).toLocaleString("en"), label: told[made.label] }));
    }
  }
}

// --- sibling posts ----------------------------------------------------------------------------------------------------

/** What else the author has written, and what stands around the post in its thread. Nothing is decided here. */
class Siblings {
  constructor(desk) {
    this.desk = desk;
    this.isOpen = false;
    this.asked = 0;
  }

  get panel() {
    return this.desk.$(".siblings");
  }

  toggle() {
    if (this.isOpen) this.close();
    else if (this.desk.shown !== null) this.open();
  }

  async open() {
    const { desk } = this;
    const { words } = desk.data;
    const card = desk.cards[0];
    if (!card.siblings) {
      desk.say(desk.data.words.no_siblings);
      return;
    }
    desk.copies.close();
    this.isOpen = true;
    this.asked += 1;
    const turn = this.asked;
    this.show([element("p", "hint", {}, words.fetching_siblings)]);
    this.panel.focus({ preventScroll: true }); // so that the arrow keys scroll it
    const { answer, error } = await askServer(`${SIBLINGS_URL}?post_id=${card.post_id}`);
    if (turn !== this.asked) return;
    if (error) this.show([element("p", "now", { role: "alert" }, fill(words.siblings_failed, { error }))]);
    else this.show([...this.drawGroup(words.same_author, answer.author), ...this.drawGroup(words.same_thread, answer.thread)]);
  }

  close() {
    this.isOpen = false;
    this.asked += 1;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.desk.root.classList.remove("comparing");
    this.desk.$(".tool-siblings").setAttribute("aria-expanded", "false");
  }

  show(content) {
    this.panel.hidden = false;
    this.panel.replaceChildren(...content);
    this.panel.scrollTop = 0;
    this.desk.root.classList.add("comparing");
    this.desk.$(".tool-siblings").setAttribute("aria-expanded", "true");
  }

  drawGroup(title, group) {
    if (!group) return [];
    const { words } = this.desk.data;
    const said = [words.no_other, words.one_other][group.total] ?? (group.total < MOST_COUNTED ? words.others : words.many_others);
    const facts = [fill(said, { count: group.total.toLocaleString("en") })];
    if (group.decided === null) facts.push(words.hidden_labels);
    const head = element("p", "now", {}, title);
    const line = element("span", "hint", {}, ` · ${facts.join(" · ")}`);
    for (const [label, count] of Object.entries(group.decided ?? {})) {
      if (!count) continue;
      const became = element("span", label);
      became.append(element("span", "shape", {}, SHAPES[label]), ` ${count.toLocaleString("en")} ${words[label]}`);
      line.append(" · ", became);
    }
    head.append(line);
    const list = element("ol", "", { lang: "zh" });
    list.append(...group.posts.map((post) => this.drawPost(post)));
    return [head, list];
  }

  drawPost(post) {
    const entry = element("li", post.is_card ? "here" : post.label ?? "", { "data-post": String(post.post_id) });
    const shape = element("span", "shape", post.label ? { title: this.desk.data.words[post.label] } : {}, post.label ? SHAPES[post.label] : "");
    const { words } = this.desk.data;
    const facts = [fill(words.post, { number: post.pid ?? `#${post.post_id}` })];
    if (post.is_card) facts.push(words.post_above);
    else if (post.label) facts.push(words[post.label]);
    const text = element("p", "");
    text.append(...withOddMarks(post.text));
    entry.append(shape, text, element("small", "", { lang: document.documentElement.lang }, facts.join(" · ")));
    return entry;
  }
}

// --- guidelines -------------------------------------------------------------------------------------------------------

/** Beside the card, for as long as they are wanted: deciding goes on while they are open. */
class Guidelines {
  constructor(desk) {
    this.desk = desk;
    this.isOpen = false;
    this.isNew = false;
    this.asked = 0;
    for (const place of desk.root.querySelectorAll("[data-said]")) place.textContent = this.words[place.dataset.said];
    this.panel.setAttribute("aria-label", this.words.title);
    this.panel.querySelector(".close").onclick = () => this.close();
    desk.$(".changed button").onclick = () => this.toggle();
  }

  get panel() {
    return this.desk.$(".guidelines");
  }

  get words() {
    return this.desk.data.guidelines_words;
  }

  /** isNew: there is something that this person has not been shown. */
  offer(isNew) {
    this.isNew = isNew;
    this.desk.$(".changed").hidden = !isNew || this.isOpen;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.open();
  }

  async open() {
    this.isOpen = true;
    this.asked += 1;
    const turn = this.asked;
    this.panel.hidden = false;
    this.panel.scrollTop = 0;
    this.panel.focus({ preventScroll: true }); // so that the arrow keys scroll it
    this.desk.$(".tool-guidelines").setAttribute("aria-expanded", "true");
    this.show([element("p", "hint", {}, this.words.fetching)]);
    const { answer, error } = await askServer(GUIDELINES_URL);
    if (turn !== this.asked) return;
    if (error) {
      this.show([element("p", "", { role: "alert" }, fill(this.words.failed, { error }))]);
      return;
    }
    this.show(this.drawAll(answer));
    await this.noteRead(answer.version?.id ?? 0);
  }

  close() {
    this.isOpen = false;
    this.asked += 1;
    this.panel.hidden = true;
    this.desk.$(".tool-guidelines").setAttribute("aria-expanded", "false");
    this.offer(this.isNew);
  }

  show(content) {
    this.panel.querySelector(".whole").replaceChildren(...content);
    this.desk.$(".changed").hidden = true;
  }

  async noteRead(version) {
    const headers = { "X-Csrf-Token": this.desk.data.csrf };
    const { error } = await askServer(`${GUIDELINES_URL}/read?version=${version}`, { method: "POST", headers });
    if (!error) this.isNew = false; // else they are offered again
  }

  drawAll({ version, changes, examples }) {
    const parts = [];
    if (changes) parts.push(this.drawChanges(changes));
    if (version) {
      const text = element("div", "body", { lang: "zh" });
      text.innerHTML = version.html; // made by the server from Markdown: no raw HTML, no pictures, no scripts
      parts.push(text, element("p", "hint", {}, fill(this.words.written, { number: version.id, name: version.by, day: dayOf(version.at) })));
    } else parts.push(element("p", "hint", {}, this.words.none));
    if (this.desk.data.rules.length) parts.push(this.drawRules());
    return [...parts, ...this.drawExamples(examples)];
  }

  drawChanges({ since, lines, notes }) {
    const box = element("section", "changes");
    box.append(element("h4", "", {}, fill(this.words.changed, { number: since })));
    for (const note of notes) {
      const made = fill(this.words.version, { number: note.id, name: note.by, day: dayOf(note.at) });
      box.append(element("p", "hint", {}, note.note ? `${made}: ${visible(note.note)}` : made));
    }
    const compared = element("div", "compared", { lang: "zh" });
    for (const line of lines) {
      const role = { new: { role: "insertion" }, gone: { role: "deletion" } }[line.kind] ?? {};
      compared.append(element("div", line.kind, role, line.kind === "gap" ? "…" : line.text || " "));
    }
    box.append(compared);
    return box;
  }

  drawRules() {
    const box = element("section", "");
    box.append(element("h4", "", {}, this.words.rules));
    const list = element("ul", "keys");
    this.desk.data.rules.forEach((rule, index) => {
      const entry = element("li", "");
      if (index < RULE_KEYS.length) entry.append(element("kbd", "", {}, RULE_KEYS[index]), " ");
      const names = [rule.chinese, rule.english].filter(Boolean);
      entry.append(element("span", "", { lang: "zh" }, names.join(" · ")));
      list.append(entry);
    });
    box.append(list);
    return box;
  }

  drawExamples(examples) {
    return this.desk.data.labels.flatMap(({ name, chinese }) => {
      const own = examples.filter((example) => example.label === name);
      if (!own.length) return [];
      const title = element("h4", name);
      const both = told[name] === chinese ? chinese : `${told[name]} ${chinese}`;
      title.append(element("span", "shape", {}, SHAPES[name]), " ", fill(this.words.examples, { label: both }));
      const list = element("ol", "", { lang: "zh" });
      list.append(
        ...own.map((example) => {
          const entry = element("li", "");
          const text = element("p", "");
          text.append(...withOddMarks(example.text));
          entry.append(text);
          if (example.is_new) entry.append(element("span", "fresh", {}, this.words.new), " ");
          if (example.note) entry.append(element("small", "", {}, visible(example.note)));
          return entry;
        }),
      );
      return [title, list];
    });
  }
}

// --- one's own browser ------------------------------------------------------------------------------------------------

/** What each person sets for themselves, kept in this browser: text size, dark or light, a reminder to take breaks. */
class Own {
  constructor(desk) {
    this.desk = desk;
    this.name = `tiebreak-own:${desk.data.user}`;
    this.chosen = { zoom: 1, minutes: 0, since: null, last: null, ...readStored(this.name) };
    if (!ZOOMS.includes(this.chosen.zoom)) this.chosen.zoom = 1;
    if (!BREAKS.includes(this.chosen.minutes)) this.chosen.minutes = 0;
    this.build();
    this.applyZoom();
  }

  build() {
    const { desk } = this;
    desk.$(".own .smaller").onclick = () => this.zoomBy(-1);
    desk.$(".own .larger").onclick = () => this.zoomBy(1);
    const { words } = desk.data;
    const theme = desk.$(".own select.theme");
    theme.replaceChildren(...Object.entries(THEMES).map(([value, name]) => element("option", "", { value }, words[name])));
    theme.value = storedTheme();
    theme.onchange = () => chooseTheme(theme.value);
    const breaks = desk.$(".own select.breaks");
    const options = [0, ...BREAKS].map((minutes) => element("option", "", { value: String(minutes) }, minutes ? fill(words.after_minutes, { minutes }) : words.off));
    breaks.replaceChildren(...options);
    breaks.value = String(this.chosen.minutes);
    breaks.onchange = () => this.remindAfter(Number(breaks.value));
    desk.$(".break button").onclick = () => this.snooze();
  }

  keep(changes) {
    Object.assign(this.chosen, changes);
    try {
      localStorage.setItem(this.name, JSON.stringify(this.chosen));
    } catch {
      return; // storage is switched off: the choice holds for as long as the page is open
    }
  }

  zoomBy(step) {
    this.zoomTo(Math.min(ZOOMS.length - 1, Math.max(0, ZOOMS.indexOf(this.chosen.zoom) + step)));
  }

  /** One key for all sizes: after the largest comes the smallest. */
  zoomRound(step) {
    this.zoomTo((ZOOMS.indexOf(this.chosen.zoom) + step + ZOOMS.length) % ZOOMS.length);
  }

  zoomTo(place) {
    this.keep({ zoom: ZOOMS[place] });
    this.applyZoom();
  }

  applyZoom() {
    this.desk.root.style.setProperty("--zoom", String(this.chosen.zoom));
    this.desk.$(".own output").textContent = percent(this.chosen.zoom);
  }

  toggleDark() {
    chooseTheme(this.desk.root.classList.contains("dark") ? "Light" : "Dark");
  }

  // --- breaks ---

  remindAfter(minutes) {
    this.keep({ minutes, since: null, last: null });
    this.desk.$(".break").hidden = true;
  }

  /** Called at each press: who has not paused for so many minutes is reminded, once, and not held up. */
  worked() {
    if (!this.chosen.minutes) return;
    const now = Date.now();
    const { since, last, minutes } = this.chosen;
    const isBack = last === null || now - last > PAUSE_MS || now < last;
    this.keep({ since: isBack ? now : since, last: now });
    const worked = now - this.chosen.since;
    const isDue = worked >= minutes * 60_000;
    this.desk.$(".break").hidden = !isDue;
    if (isDue) this.desk.$(".break span").textContent = fill(this.desk.data.words.take_break, { minutes: Math.floor(worked / 60_000) });
  }

  snooze() {
    this.keep({ since: Date.now() - this.chosen.minutes * 60_000 + SNOOZE_MS });
    this.desk.$(".break").hidden = true;
  }
}

const THEMES = { System: "as_system", Light: "light", Dark: "dark" };

/** Streamlit keeps its theme by the path that a tab was opened at; what is chosen here holds for every page. */
function themeKeys() {
  const links = [...document.querySelectorAll("[data-testid=stSidebarNav] a")].map((link) => new URL(link.href).pathname);
  return [...new Set([...links, "/", location.pathname])].map((path) => `stActiveTheme-${path}-v2`);
}

function storedTheme() {
  const stored = readStored(`stActiveTheme-${location.pathname}-v2`);
  return stored in THEMES ? stored : "System";
}

function chooseTheme(theme) {
  try {
    for (const key of themeKeys()) localStorage.setItem(key, JSON.stringify(theme));
  } catch {
    return;
  }
  location.reload();
}

function readStored(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

// --- small things -----------------------------------------------------------------------------------------------------

const ANSWERS = { first: 0, second: 1, third: 2 };
const RULE_KEYS = ["4", "5", "6", "7", "8", "9", "-", "="];
const RULES = Object.fromEntries(RULE_KEYS.map((key, index) => [key, `rule${index}`]));
const BY_LETTER = { a: "family", f: "flag", n: "note", o: "others", s: "later", x: "cannot", u: "undo", m: "model", h: "original", q: "quotes", t: "siblings", g: "guidelines", l: "forum", z: "zoom", d: "dark" };
const BY_KEY = { ...RULES, 1: "first", 2: "second", 3: "third", 0: "later", "?": "help", "？": "help", Backspace: "undo", Escape: "escape" };
const BY_CODE = {
  Digit1: "first", Digit2: "second", Digit3: "third", Digit0: "later",
  Digit4: "rule0", Digit5: "rule1", Digit6: "rule2", Digit7: "rule3", Digit8: "rule4", Digit9: "rule5", Minus: "rule6", Equal: "rule7",
  Numpad1: "first", Numpad2: "second", Numpad3: "third", Numpad0: "later",
  Numpad4: "rule0", Numpad5: "rule1", Numpad6: "rule2", Numpad7: "rule3", Numpad8: "rule4", Numpad9: "rule5",
  KeyF: "flag", KeyN: "note", KeyO: "others", KeyX: "cannot",
  KeyA: "family", KeyS: "later", KeyU: "undo", KeyM: "model", KeyH: "original", KeyQ: "quotes",
  KeyT: "siblings", KeyG: "guidelines", KeyL: "forum", KeyZ: "zoom", KeyD: "dark",
};

/** By the character, else by the physical key: other layouts and input methods put other characters on it. */
function actionOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (/^[a-z]$/.test(key)) return BY_LETTER[key];
  return BY_KEY[key] ?? (event.shiftKey ? undefined : BY_CODE[event.code]);
}

function element(tag, className, attributes = {}, text = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

/** Quotations and notes stand in a block of their own: the line breaks around them would only leave gaps. */
function readable(segments) {
  return segments.map((segment, index) => {
    if (segment.kind === "quote") return { ...segment, text: segment.text.trim() };
    const isAfterBlock = ["quote", "note"].includes(segments[index - 1]?.kind);
    return isAfterBlock ? { ...segment, text: segment.text.replace(/^\s+/u, "") } : segment;
  });
}

function hasOwnWords(segments) {
  return segments.some((segment) => !["quote", "note"].includes(segment.kind) && segment.text.trim());
}

/** Somebody else's words: folded to their beginning and to the hits that would be hidden. */
function drawQuote(text, hits) {
  const quote = element("details", "");
  const summary = element("summary", "");
  const characters = Array.from(text.replace(/\s+/gu, " "));
  const [head, rest] = [characters.slice(0, QUOTE_HEAD).join(""), characters.slice(QUOTE_HEAD).join("")];
  const beginning = element("span", "beginning");
  beginning.append(...marked(head, hits), rest && "…");
  const hidden = marked(rest, hits).filter((node) => node.nodeName === "MARK").map((mark) => mark.textContent);
  const words = element("span", "hidden-hits");
  words.append(...[...new Set(hidden)].map((word) => element("mark", "", {}, word)));
  const line = element("span", "line");
  line.append(element("span", "", {}, told.quotation), beginning, words);
  summary.append(line);
  const whole = element("blockquote", "");
  whole.append(...marked(text, hits));
  quote.append(summary, whole);
  return quote;
}

function drawSegment(segment, hits, leadsTo) {
  if (segment.kind === "quote") return drawQuote(segment.text, hits);
  if (segment.kind === "note") {
    const note = element("div", "note");
    note.append(...marked(segment.text.trim(), hits));
    return note;
  }
  if (segment.kind === "text") {
    const plain = element("span", "");
    plain.append(...marked(segment.text, hits));
    return plain;
  }
  if (segment.kind === "link") return drawLink(segment, hits, leadsTo);
  const chip = element("span", "chip");
  chip.append(...marked(segment.text, hits));
  return chip;
}

/** Text that cannot be clicked, with the host that it leads to: within the address, else beside it. */
function drawLink({ text, host }, hits, leadsTo) {
  const link = element("span", "link");
  const at = host ? text.toLowerCase().indexOf(host) : -1;
  if (at < 0) {
    link.append(...marked(text, hits));
    if (host) link.append(" ", element("b", "host", { lang: "en", title: leadsTo }, `→ ${visible(host)}`));
    return link;
  }
  const named = element("b", "host");
  named.append(...marked(text.slice(at, at + host.length), hits));
  link.append(...marked(text.slice(0, at), hits), named, ...marked(text.slice(at + host.length), hits));
  return link;
}

/** Text nodes and <mark> elements; never markup. */
function marked(text, hits) {
  const words = hits.filter(Boolean).sort((a, b) => b.length - a.length).map(escapeForRegExp);
  if (!words.length) return withOddMarks(text);
  const parts = text.split(new RegExp(`(${words.join("|")})`, "giu"));
  return parts.flatMap((part, index) => {
    if (index % 2 === 0) return withOddMarks(part);
    return [element("mark", "", {}, part)];
  });
}

function withOddMarks(text) {
  return text.split(new RegExp(`(${ODD.source})`, "u")).filter(Boolean).map((part) =>
    ODD.test(part) && part.length === 1
      ? element("span", "odd", { title: told.invisible }, codePoint(part))
      : document.createTextNode(part),
  );
}

function visible(text) {
  return text.replace(new RegExp(ODD.source, "gu"), (character) => `⟦${codePoint(character)}⟧`);
}

function codePoint(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function escapeForRegExp(word) {
  return word.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing where the page comes by plain http
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The sentence with its values: {name} stands for each. */
function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/gu, (place, name) => String(values[name] ?? place));
}

async function askServer(url, options = {}) {
  try {
    const response = await fetch(url, { credentials: "same-origin", signal: AbortSignal.timeout(GIVE_UP_MS), ...options });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return { answer, error: null };
    return { answer: null, error: response.status === 401 ? told.signed_out : answer.error ?? fill(told.answered, { status: response.status }) };
  } catch {
    return { answer: null, error: told.no_connection };
  }
}

function dayOf(time) {
  return time.slice(0, 10);
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}

/** The sentence of that name for the count: NAME_one, where one is said otherwise, or NAME. */
function counted(name, count) {
  const sentence = (count === 1 && told[`${name}_one`]) || told[name];
  return fill(sentence, { count: count.toLocaleString("en") });
}

function isDark(colour) {
  const [r, g, b] = (colour.match(/[0-9a-f]{2}/gi) ?? []).map((part) => parseInt(part, 16));
  return r !== undefined && 0.299 * r + 0.587 * g + 0.114 * b < 128;
}
