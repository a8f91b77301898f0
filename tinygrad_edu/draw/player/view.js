// Moves the view of a picture by hand: drag, wheel, pinch and keys. A view is [x, y, width, height], as in viewBox.
// get() is the view now, set(view) shows another one, whole() is the scale, in pixels for a point, at which all is seen.
// A wheel without ctrl scrolls the page, as everywhere; where there is nothing to scroll, an enlarged picture.
function byHand(stage, { get, set, whole }) {
  const fingers = new Map();
  let dragged = false;
  const room = () => stage.getBoundingClientRect();
  const scaleOf = ([, , width, height]) => Math.min(room().width / width, room().height / height);

  function pan(dx, dy) {
    const view = get(), scale = scaleOf(view);
    set([view[0] - dx / scale, view[1] - dy / scale, view[2], view[3]]);
  }

  function zoom(factor, x = room().left + room().width / 2, y = room().top + room().height / 2) {
    const view = get(), before = scaleOf(view), { left, top, width, height } = room();
    const scale = Math.min(Math.max(before * factor, Math.min(whole(), 1) / 4), 8);
    const middle = [view[0] + view[2] / 2, view[1] + view[3] / 2];
    const off = [x - left - width / 2, y - top - height / 2];
    const [w, h] = [width / scale, height / scale];
    set([0, 1].map((i) => middle[i] + off[i] * (1 / before - 1 / scale) - [w, h][i] / 2).concat([w, h]));
  }

  stage.addEventListener("wheel", (event) => {
    const unit = event.deltaMode ? 20 : 1, isTop = window === window.top;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(Math.min(Math.max(-event.deltaY * unit * 0.01, -0.25), 0.25)), event.clientX, event.clientY);
    } else if (isTop && document.documentElement.scrollHeight <= innerHeight + 1 && scaleOf(get()) > whole() * 1.01) {
      event.preventDefault();
      const [dx, dy] = event.shiftKey ? [event.deltaY, event.deltaX] : [event.deltaX, event.deltaY];
      pan(-dx * unit, -dy * unit);
    }
  }, { passive: false });

  const centre = () => {
    const all = [...fingers.values()], sum = (i) => all.reduce((total, at) => total + at[i], 0) / all.length;
    const apart = all.length > 1 ? Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) : 0;
    return [sum(0), sum(1), apart];
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) dragged = false;
    fingers.set(event.pointerId, [event.clientX, event.clientY, event.clientX, event.clientY]);
  });
  stage.addEventListener("pointermove", (event) => {
    const at = fingers.get(event.pointerId);
    if (!at) return;
    const before = centre();
    if (!dragged && fingers.size < 2 && Math.hypot(event.clientX - at[2], event.clientY - at[3]) < 5) return;
    if (!dragged) stage.setPointerCapture(event.pointerId);
    dragged = true;
    [at[0], at[1]] = [event.clientX, event.clientY];
    const [x, y, apart] = centre();
    pan(x - before[0], y - before[1]);
    if (apart && before[2]) zoom(apart / before[2], x, y);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
    stage.addEventListener(name, (event) => {
      // a part of the picture that a finger came down on loses it to the stage, which goes on
      if (name !== "lostpointercapture" || event.target === stage) fingers.delete(event.pointerId);
    });
  stage.addEventListener("click", (event) => {
    if (dragged) { event.stopPropagation(); event.preventDefault(); }  // it was no click
    dragged = false;
  }, true);
  return { pan, zoom, scaleOf };
}
