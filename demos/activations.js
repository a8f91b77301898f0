function normal(z) {  // the share of a normal distribution below z; each term of the series for erf is positive
  const x = Math.abs(z) / Math.SQRT2;
  let sum = x, term = x;
  for (let n = 1; n < 300; n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return 0.5 + Math.sign(z) * sum * Math.exp(-x * x) / Math.sqrt(Math.PI);
}

const STYLES = {
  sigmoid: ["value_wire"], tanh: ["gradient_wire", "9 4"], ReLU: ["parameter"], LeakyReLU: ["output", "9 4"],
  ELU: ["highlight", "3 3"], GELU: ["text", "9 3 3 3"], Maxout: ["muted", "3 3"],
};

function update(settings) {
  const { z, range } = settings, names = Object.keys(FUNCTIONS).filter((name) => settings[name]);
  const value = (name, z) => FUNCTIONS[name][0](z), slope = (name, z) => FUNCTIONS[name][1](z, value(name, z));
  const most = (name) => Math.max(...sample([-range, range], 400).map((z) => slope(name, z)));
  numbers(["", "a", "slope", "largest"], names.map((name) =>
    [name, [value(name, z), slope(name, z), most(name)], STYLES[name]]));
  for (const [id, title, f, y] of [
    ["value", "Value a = f(z)", value, [-1.2, Math.max(1.2, range / 2)]], ["slope", "Slope da/dz", slope, [-0.6, 1.3]],
  ]) {
    const drawing = chart(id, title, { x: [-range, range], y, xlabel: "z" });
    drawing.points([[z, -99], [z, 99]], ["muted", "2 4"]);
    for (const name of names) {
      drawing.curve((at) => f(name, at), STYLES[name], name);
      drawing.dot(z, f(name, z), STYLES[name]);
    }
  }
  speak(names.map((name) => `${name} ${number(value(name, z))}, slope ${number(slope(name, z))}`).join("; "));
}
