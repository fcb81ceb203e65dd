// What a page can do better with a script. Each page does everything without it.
(() => {
  const all = (css) => document.querySelectorAll(css);

  // When something was: in the words of the page's language and the person's time.
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const one of all("time[datetime]")) {
    const at = new Date(one.dateTime);
    if (!isNaN(at)) one.textContent = time.format(at);
  }

  // A form is sent once: what a second press would do is under way already. The button is left as it is, since one
  // that is disabled would not send its name. Back on the page, or after a while, the form may be sent again.
  const sent = new Map();
  addEventListener("submit", (event) => {
    if (event.timeStamp - sent.get(event.target) < 10000) event.preventDefault();
    else sent.set(event.target, event.timeStamp);
  });
  addEventListener("pageshow", () => sent.clear());

  // A code can be sent again after a while.
  for (const button of all("button[data-wait]")) {
    const text = button.textContent;
    const until = Date.now() + 1000 * button.dataset.wait;
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      button.disabled = left > 0;
      button.textContent = left > 0 ? button.dataset.waitText.replace("#", left) : text;
      if (left > 0) setTimeout(tick, 1000);
    };
    tick();
  }

  // WebOTP: the phone offers the code of a text message.
  const otp = document.querySelector("input[data-otp]");
  if (otp && "OTPCredential" in window) {
    navigator.credentials.get({ otp: { transport: ["sms"] } }).then((found) => {
      if (!found) return;
      otp.value = found.code;
      otp.form.requestSubmit();
    }, () => {});
  }

  // What is typed as a password can be looked at.
  const eye = "<svg viewBox='0 0 24 24' aria-hidden='true'><path d='M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12Z'/><circle cx='12' cy='12' r='2.8'/><path class='slash' d='M4 4l16 16'/></svg>";
  for (const input of all("input[data-reveal]")) {
    const around = document.createElement("div");
    const button = document.createElement("button");
    around.className = "reveal";
    button.type = "button";
    button.className = "plain";
    button.innerHTML = eye;
    button.setAttribute("aria-label", input.dataset.reveal);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
    });
    const focused = document.activeElement === input;
    input.replaceWith(around);
    around.append(input, button);
    input.form.addEventListener("submit", () => { input.type = "password"; });
    if (focused) input.focus();
  }

  // How good a new password is, while it is typed.
  const place = document.querySelector("[data-strength]");
  const fresh = document.querySelector("input[autocomplete='new-password']");
  if (place && fresh) {
    const words = place.dataset.strength.split("|");
    let timer;
    fresh.addEventListener("input", () => {
      clearTimeout(timer);
      if (!fresh.value) return place.replaceChildren();
      timer = setTimeout(async () => {
        const body = { password: fresh.value };
        for (const name of ["username", "email"]) {
          const value = fresh.form.elements[name]?.value;
          if (value) body[name] = value;
        }
        const answer = await fetch("/api/v1/auth/password-strength", {
          method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
        }).catch(() => null);
        if (!answer?.ok) return;
        const { score } = await answer.json();
        const meter = document.createElement("meter");
        Object.assign(meter, { min: 0, max: 4, value: score });
        meter.setAttribute("aria-hidden", "true");
        place.replaceChildren(meter, words[score]);
      }, 350);
    });
  }

  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
})();
