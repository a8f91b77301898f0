function update({ f, start, lr, steps }) {
  const [value, slope, curvature] = FUNCTIONS[f], places = [start];
  for (let k = 0; k < steps; k++) places.push(places[k] - lr * slope(places[k]));
  const end = places[steps], finite = places.filter((x) => Math.abs(x) < 1e6), losses = finite.map(value);
  const verdict = !Number.isFinite(value(end)) || value(end) > value(start) + 1e-9 ? "went up: the rate is too large"
    : Math.abs(slope(end)) < 1e-3 ? "arrived where the slope is almost 0"
    : lr === 0 ? "stays where it is: the rate is 0"
    : Math.abs(end - places[steps - 2]) < 1e-5 ? "swings for ever between two places"
    : "still on the way";
  numbers([], [
    ["x after 1 step", places[1]], [`x after ${steps} steps`, end], ["f(x) there", value(end)],
    ["slope f′(x) there", slope(end)], ["curvature f″(x) there", curvature(end)],
    ["factor 1 − lr · f″(x) there", 1 - lr * curvature(end)],
  ]);
  const wide = Math.min(Math.max(3, 1.1 * Math.max(...finite.map(Math.abs))), 30);
  const heights = [...sample([-wide, wide], 200).map(value), ...losses], low = Math.min(...heights);
  const high = Math.max(4, Math.min(Math.max(...losses, value(start)), 900)) * 1.1;
  const floor = low - 0.06 * (high - low);
  const path = chart("path", "The descent", { x: [-wide, wide], y: [floor, high], xlabel: "x" });
  path.curve(value, ["value_wire"], "f(x)");
  path.points(finite.map((x) => [x, value(x)]), ["gradient_wire", "5 3"], "steps");
  for (const x of finite) path.dot(x, value(x), ["gradient_wire"]);
  path.dot(end, value(end), ["text"], "end");
  const loss = chart("loss", "The loss", { x: [0, steps], y: [floor, high], xlabel: "step" });
  loss.points(losses.map((y, k) => [k, y]), ["gradient_wire"], verdict);
  losses.forEach((y, k) => loss.dot(k, y, ["gradient_wire"]));
  speak(`after ${steps} steps x is ${number(end)} and f(x) ${number(value(end))}: ${verdict}`);
}
