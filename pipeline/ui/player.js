// Moves the player and hears where it stands, without a round trip through the page's server; copies answers.
// Wherever it stands, a link to "#t=SECONDS" plays from there, and one to "#t=SECONDS&video=ID" in another video.
export default function ({ data, setStateValue, setTriggerValue }) {
  const listening = new AbortController();
  const on = (target, event, heard) =>
    target.addEventListener(event, heard, { capture: true, signal: listening.signal });
  const QUESTION = ".st-key-ask textarea";
  const player = () => document.querySelector(".st-key-player video");
  const place = (address) => {
    const found = /^#t=([\d.]+)(?:&video=(\w+))?/.exec(address ?? "");
    return found && { seconds: Number(found[1]), video: found[2] ?? data.video };
  };

  // What a link to a time does. What this player does not hold, the server opens.
  const go = ({ seconds, video }) => {
    const here = player(), at = seconds - data.offset;
    if (video !== data.video || !here || at < 0 || at > data.length) {
      setTriggerValue("elsewhere", { seconds, video });
      return;
    }
    here.currentTime = at;
    here.play().catch(() => {}); // a browser may forbid sound before the first click
  };
  on(document, "click", (event) => {
    const link = event.target.closest?.("a[href^='#t=']");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(place(link.getAttribute("href")));
  });
  const follow_address = () => {
    const asked = place(location.hash);
    if (!asked) return;
    history.replaceState(history.state, "", location.pathname + location.search);
    go(asked);
  };
  on(window, "hashchange", follow_address); // charts open their links themselves
  on(document, "ended", ({ target }) => { // a part of a long file: the next one
    const end = data.offset + data.length;
    if (target === player() && end < data.until - 1) setTriggerValue("elsewhere", { seconds: end, video: data.video });
  });

  // Where it stands is said as a question is sent or a button pressed, and travels in the same message.
  let said;
  const say = () => {
    const video = player();
    if (!video?.readyState) return;
    const at = Math.round(10 * (data.offset + video.currentTime)) / 10;
    if (at !== said) setStateValue("at", (said = at));
  };

  // Lists that follow the player mark the last of their times that it has passed.
  const follow = () => {
    const video = player();
    if (!video) return;
    const now = data.offset + video.currentTime + 0.2;
    for (const list of document.querySelectorAll("[class*=st-key-follow]")) {
      let current = null;
      for (const link of list.querySelectorAll("a[href^='#t=']")) {
        if (place(link.getAttribute("href")).seconds > now) break;
        current = link;
      }
      const marked = list.querySelector("[aria-current]");
      if (marked === current) continue;
      marked?.removeAttribute("aria-current");
      current?.setAttribute("aria-current", "time");
    }
  };
  follow_address(); // of a time that was opened in a tab of its own
  for (const event of ["timeupdate", "seeked", "loadedmetadata"]) on(document, event, follow);
  follow();

  on(document, "keydown", ({ key, target }) => key === "Enter" && target.matches?.(QUESTION) && say());
  on(document, "click", ({ target }) => {
    if (target.closest?.(".st-key-ask button, .st-key-share button, [role=tab]")) say();
  });

  // The last question rises to the top of the chat as its answer grows, and stays there. Who scrolls, or opens what
  // lies in the chat, is left alone until the next question.
  const CHAT = ".st-key-chat";
  const rise = () => {
    const chat = document.querySelector(CHAT);
    const questions = chat?.querySelectorAll("[aria-label='Chat message from user']") ?? [];
    const question = [...questions].at(-1);
    if (!question) return;
    const asked = `${data.talk} ${questions.length} ${question.textContent}`;
    if (chat.dataset.asked !== asked) {
      chat.dataset.asked = asked;
      delete chat.dataset.left;
    }
    if (chat.dataset.left) return;
    const above = question.closest("[data-testid=stChatMessage]").getBoundingClientRect().top;
    chat.scrollTop += above - chat.getBoundingClientRect().top;
  };
  let changed = performance.now();
  const growing = new MutationObserver(() => {
    changed = performance.now();
    rise();
  });
  growing.observe(document.body, { childList: true, subtree: true, characterData: true });
  on(document, "load", ({ target }) => target.closest?.(CHAT) && rise()); // of pictures
  for (const event of ["wheel", "touchmove", "pointerdown", "keydown", "focusin"])
    on(document, event, ({ target }) => {
      const chat = target.closest?.(CHAT);
      if (chat) chat.dataset.left = "yes";
    });
  rise();

  // While an answer arrives the page draws itself again and again. On a busy machine Streamlit may lose the word of that
  // (what one run says is dropped where the next begins before it was sent), and it would stand still until a click.
  const STILL = 5000; // ms
  const looking = setInterval(() => {
    const now = performance.now();
    if (!document.querySelector(".st-key-stop") || now - changed < STILL) return;
    changed = now;
    setTriggerValue("still", now);
  }, 1000);

  // On a phone the list of videos lies over the page: it goes once one is chosen.
  on(document, "click", ({ target }) => {
    if (innerWidth <= 768 && target.closest?.("[data-testid=stSidebar] :is([class*=st-key-open-], .st-key-all, .st-key-add) button"))
      setTimeout(() => document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click());
  });

  // Streamlit does not write to the clipboard; nor do browsers in the new way, on a page from another machine.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
  };
  on(document, "click", ({ target }) => {
    const number = /st-key-copy-(\d+)/.exec(target.closest?.("[class*=st-key-copy-]")?.className)?.[1];
    const answer = number && document.querySelector(`.st-key-answer-${number}`);
    if (answer) copy(answer.innerText);
  });

  return () => {
    listening.abort();
    growing.disconnect();
    clearInterval(looking);
  };
}
