// The flights of a day in one shape, whether the service heard of them or a file holds them.

// What a model says of levels; `levels` of its card.
export function levelOf(probability, levels) {
  if (probability === null || probability === undefined) return null;
  return probability > levels.high ? "high" : probability > levels.raised ? "raised" : "usual";
}

// Of an answer of GET /flights.
export function liveDay(answer, model) {
  const { levels } = model.card;
  return {
    ...answer,
    source: "live",
    toCome: answer.flights.map((row) => shape(row, identity(row), levels)),
    left: answer.left.map((row) => shape(row, identity(row), levels)),
  };
}

// Of an answer of POST /predict/file.
export function fileDay(answer, model) {
  const { levels } = model.card;
  const rows = answer.flights.map((row) => shape(row, `row ${row.row}`, levels));
  return {
    ...answer,
    source: "file",
    toCome: rows.filter((one) => one.status === "scheduled"),
    left: rows.filter((one) => one.status !== "scheduled"),
  };
}

function shape(row, id, levels) {
  const { flight } = row;
  const time = flight["Fecha-I"] ?? "";
  // Of a file's flight it is not known what was said an hour before.
  const isTold = row.called !== undefined;
  const predicted = row.status === "left" ? [row.probability, row.delay] : [null, null];
  const [called, calledDelay] = isTold ? [row.called, row.called_delay] : predicted;
  const one = {
    ...row,
    id,
    time,
    hour: time.slice(0, 13),
    airline: flight.OPERA ?? "",
    number: flight["Vlo-I"] ?? "",
    type: flight.TIPOVUELO ?? "",
    origin: flight.SIGLAORI ?? "",
    destination: flight.SIGLADES ?? "",
    level: levelOf(row.probability, levels),
    called,
    calledDelay,
    isHourBefore: isTold,
    points: row.hour_ago === null || row.hour_ago === undefined ? 0 : Math.round(100 * (row.probability - row.hour_ago)),
  };
  one.words = folded([one.airline, one.number, one.origin, one.destination, flight.MATRICULA].join(" "));
  return one;
}

// As messages tell flights apart: those without a number by destination and place.
function identity({ flight, place }) {
  const names = flight["Vlo-I"] ? [flight["Vlo-I"]] : [flight.SIGLADES ?? "", place];
  return [flight.SIGLAORI ?? "", flight["Fecha-I"], flight.OPERA, ...names].join("|");
}

// For comparing, without regard to case and accents.
export const folded = (words) => words.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();

const sum = (flights, value) => flights.reduce((total, one) => total + (value(one) ?? 0), 0);

export const expectedLate = (flights) => sum(flights, (one) => one.probability);

// How a day goes, beside how such flights usually go by their schedules.
export function summary(day) {
  const gone = day.left.filter((one) => one.status === "left");
  const late = sum(gone, (one) => one.late);
  const expected = expectedLate(day.toCome);
  const compared = [...gone, ...day.toCome].filter((one) => typeof one.schedule_probability === "number");
  return {
    toCome: day.toCome.length,
    expected,
    gone: gone.length,
    late,
    cancelled: day.left.length - gone.length,
    share: compared.length ? sum(compared, (one) => one.late ?? one.probability) / compared.length : null,
    usual: compared.length ? sum(compared, (one) => one.schedule_probability) / compared.length : null,
  };
}
