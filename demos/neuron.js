function neuron({ x, w, b, y, activation, lr }) {
  const [f, slope] = FUNCTIONS[activation];
  const z = w * x + b, a = f(z), loss = (y - a) ** 2;
  const toA = -2 * (y - a), toZ = slope(z, a), upstream = toA * toZ;
  return { z, a, loss, toA, toZ, toW: upstream * x, toB: upstream, toX: upstream * w, next: w - lr * upstream * x };
}

function update(settings) {
  const { x, w, b, y, activation } = settings, n = neuron(settings);
  const lossAt = (w) => neuron({ ...settings, w }).loss, high = Math.max(activation === "ReLU" ? 6 : 2.2, 1.1 * n.a);
  numbers([], [
    ["z = wx + b", n.z], ["a = " + activation + "(z)", n.a], ["L = (y − a)²", n.loss],
    ["∂L/∂a", n.toA], ["∂a/∂z", n.toZ], ["∂L/∂w = ∂L/∂a · ∂a/∂z · x", n.toW], ["∂L/∂b = ∂L/∂a · ∂a/∂z", n.toB],
    ["∂L/∂x = ∂L/∂a · ∂a/∂z · w", n.toX], ["w after a step", n.next], ["L after a step", lossAt(n.next)],
  ]);
  const out = chart("output", "The answer", { x: [-5, 5], y: [-1.3, high], xlabel: "input x" });
  out.points([[-5, y], [5, y]], ["parameter", "7 5"], "target y");
  if (w) out.points([[-b / w, -9], [-b / w, 99]], ["muted", "2 4"], "z = 0");
  out.curve((x) => neuron({ ...settings, x }).a, ["value_wire"], "a");
  out.dot(x, n.a, ["value_wire"]);
  const most = Math.max(1e-3, ...sample([-3, 3], 60).map(lossAt));
  const loss = chart("loss", "The loss", { x: [-3, 3], y: [-0.04 * most, 1.04 * most], xlabel: "weight w" });
  loss.curve(lossAt, ["value_wire"], "L");
  loss.points([-3, 3].map((at) => [at, n.loss + (at - w) * n.toW]), ["gradient_wire", "7 5"], "slope ∂L/∂w");
  loss.dot(w, n.loss, ["value_wire"]);
  loss.dot(n.next, lossAt(n.next), ["gradient_wire"], Math.abs(n.next) > 3 ? "step: outside" : "after a step");
  speak(`a is ${number(n.a)}, the loss ${number(n.loss)}, its slope in w ${number(n.toW)}`);
}
