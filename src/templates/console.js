// What the console can do better with a script. Each page does everything without it.
(() => {
  const tongue = document.documentElement.lang;
  const all = (css, within = document) => [...within.querySelectorAll(css)];
  const said = (style) => new Intl.DateTimeFormat(tongue, style);

  // Days are those of UTC; hours are those of whoever looks.
  const day = said({ month: "short", day: "numeric", timeZone: "UTC" });
  const hour = said({ hour: "2-digit", minute: "2-digit" });
  for (const one of all("[data-day]")) one.textContent = day.format(new Date(one.dataset.day));
  for (const one of all("[data-hour]")) one.textContent = hour.format(new Date(one.dataset.hour));

  // A part that is kept as it is now: for ten minutes, then somebody has to ask for it.
  const part = document.querySelector("[data-live]");
  const pause = document.querySelector("[data-pause]");
  if (!part || !pause) return;
  const time = said({ dateStyle: "medium", timeStyle: "short" });
  const words = [pause.textContent, pause.dataset.pause];
  let timer, left;
  const renew = async () => {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    if (!answer) return;
    // Signed out, or asked once more who it is: the page says so itself.
    if (!answer.ok || answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const one of all("time", page)) one.textContent = time.format(new Date(one.dateTime));
    const [now, then] = [all("[data-live] [data-figure]", page), all("[data-figure]", part)];
    if (now.length !== then.length) return location.reload();
    then.forEach((one, at) => {
      if (one.innerHTML === now[at].innerHTML) return;
      one.innerHTML = now[at].innerHTML;
      one.classList.remove("changed");
      void one.offsetWidth;
      one.classList.add("changed");
    });
  };
  const tick = async () => {
    if (!document.hidden) await renew();
    left -= 1;
    if (left > 0) timer = setTimeout(tick, 5000);
    else runs(false);
  };
  const runs = (on) => {
    clearTimeout(timer);
    left = on ? 120 : 0;
    pause.textContent = words[on ? 0 : 1];
    document.querySelector("[data-pause-text]").hidden = !on;
    if (on) timer = setTimeout(tick, 5000);
  };
  pause.hidden = false;
  pause.addEventListener("click", () => runs(left === 0));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && left > 0) renew(); });
  runs(true);
})();
