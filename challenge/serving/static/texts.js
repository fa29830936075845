// All words of the page, in both languages.

const TEXTS = {
  en: {
    skip: "Skip to the question",
    subtitle: "Will a flight leaving Santiago de Chile (SCL) be more than 15 minutes late?",
    language: "Language",
    key: "This server asks for a key",
    useKey: "Use it",
    question: "One flight",
    OPERA: "Airline",
    TIPOVUELO: "Type",
    MES: "Month",
    SIGLADES: "Destination",
    "Fecha-I": "Scheduled, local time",
    optional: "if known",
    international: "international",
    national: "national",
    unknown: "not known",
    ask: "Ask",
    noAnswer: "Choose a flight and ask: the answer will be here.",
    late: "A delay is expected",
    onTime: "No delay is expected",
    hundred: (n) => `Of 100 such flights, ${n} leave more than 15 minutes late`,
    compared: "Compared",
    thisFlight: "This flight",
    usual: (airline) => `${airline}, past flights`,
    all: "All past flights",
    like: (flights) => `Past flights like it (${flights})`,
    likeAbout: (fields, low, high) => `Like it: in ${fields}; their share is ${low} to ${high} (95 %).`,
    fewFlights: "fewer than 30 past flights",
    thresholdAt: (share) => `The line is the threshold, ${share}: above it a delay is expected.`,
    contributions: "What moves it",
    contributionsAbout: "From the average of past flights, in log-odds; they add up to the probability.",
    byMonth: "In other months",
    byHour: "At other hours of that weekday",
    map: "Airlines and months",
    mapAbout: (what) => `Probability of a delay of ${what}. Choose a cell to ask about it.`,
    mapType: { I: "international flights", N: "national flights" },
    mapTo: (city) => ` to ${city}`,
    mapAt: (weekday, hour) => `, ${weekday} at ${hour} h`,
    mapCell: (airline, month, share, few) => `${airline}, ${month}: ${share}${few}`,
    upTo: (share) => `up to ${share}`,
    above: (share) => `above ${share}`,
    file: "A file of flights",
    fileAbout: "CSV or Parquet with the columns OPERA, TIPOVUELO, MES and, if known, SIGLADES and Fecha-I. It comes back with the probability of each flight.",
    choose: "Choose a file",
    drop: "or drop it here",
    sending: (name) => `Sending ${name}`,
    answering: "Answering",
    download: "Download the answers",
    fileKind: "The name must end in .csv, .csv.gz or .parquet.",
    rows: (rows, late) => `Flights: ${rows}, expected to be late: ${late}`,
    faults: (n) => `Rows that are not valid: ${n}. They have no answer; the column “fault” tells why.`,
    partly: (n) => `Shown for the first ${n} flights.`,
    noPreview: "Parquet cannot be shown here; the answers are in the file.",
    firstRows: "The first rows",
    lookFirst: "The flights to look at first",
    byAirline: "Expected delays by airline, share of its flights",
    model: "The model",
    classifier: "Learned by",
    trained: "Trained",
    trainedOn: "Past flights",
    period: "Scheduled",
    delayRate: "Late among them",
    threshold: "Threshold",
    quality: "ROC AUC",
    qualitySplits: { random: "random third", forward: "last third by date" },
    fingerprint: "Fingerprint",
    drift: "Questions compared with the past flights",
    driftAbout: (flights, hours) => `Flights asked about in the last ${hours} hours: ${flights}`,
    driftField: "Field",
    driftUnknown: "Unknown values",
    driftIndex: "Stability index",
    driftVerdict: "Verdict",
    verdicts: { "too few flights": "too few flights", stable: "stable", moderate: "moderate", major: "major change" },
    hour: "Hour",
    weekday: "Weekday",
    docs: "The API",
    unreachable: "The server cannot be reached.",
    failed: (status) => `The server answered with status ${status}.`,
    wait: "Loading",
  },
  es: {
    skip: "Ir a la pregunta",
    subtitle: "¿Saldrá un vuelo desde Santiago de Chile (SCL) con más de 15 minutos de atraso?",
    language: "Idioma",
    key: "Este servidor pide una clave",
    useKey: "Usarla",
    question: "Un vuelo",
    OPERA: "Aerolínea",
    TIPOVUELO: "Tipo",
    MES: "Mes",
    SIGLADES: "Destino",
    "Fecha-I": "Salida programada, hora local",
    optional: "si se conoce",
    international: "internacional",
    national: "nacional",
    unknown: "no se conoce",
    ask: "Preguntar",
    noAnswer: "Elija un vuelo y pregunte: la respuesta aparecerá aquí.",
    late: "Se espera un atraso",
    onTime: "No se espera atraso",
    hundred: (n) => `De 100 vuelos así, ${n} salen con más de 15 minutos de atraso`,
    compared: "Comparación",
    thisFlight: "Este vuelo",
    usual: (airline) => `${airline}, vuelos pasados`,
    all: "Todos los vuelos pasados",
    like: (flights) => `Vuelos pasados como este (${flights})`,
    likeAbout: (fields, low, high) => `Como este: en ${fields}; su parte es de ${low} a ${high} (95 %).`,
    fewFlights: "menos de 30 vuelos pasados",
    thresholdAt: (share) => `La línea es el umbral, ${share}: por encima se espera un atraso.`,
    contributions: "Qué la mueve",
    contributionsAbout: "Desde el promedio de los vuelos pasados, en log-odds; sumadas dan la probabilidad.",
    byMonth: "En otros meses",
    byHour: "A otras horas de ese día de la semana",
    map: "Aerolíneas y meses",
    mapAbout: (what) => `Probabilidad de atraso de ${what}. Elija una celda para preguntar por ella.`,
    mapType: { I: "vuelos internacionales", N: "vuelos nacionales" },
    mapTo: (city) => ` a ${city}`,
    mapAt: (weekday, hour) => `, ${weekday} a las ${hour} h`,
    mapCell: (airline, month, share, few) => `${airline}, ${month}: ${share}${few}`,
    upTo: (share) => `hasta ${share}`,
    above: (share) => `más de ${share}`,
    file: "Un archivo de vuelos",
    fileAbout: "CSV o Parquet con las columnas OPERA, TIPOVUELO, MES y, si se conocen, SIGLADES y Fecha-I. Vuelve con la probabilidad de cada vuelo.",
    choose: "Elegir un archivo",
    drop: "o suéltelo aquí",
    sending: (name) => `Enviando ${name}`,
    answering: "Respondiendo",
    download: "Descargar las respuestas",
    fileKind: "El nombre debe terminar en .csv, .csv.gz o .parquet.",
    rows: (rows, late) => `Vuelos: ${rows}, con atraso esperado: ${late}`,
    faults: (n) => `Filas no válidas: ${n}. Quedan sin respuesta; la columna «fault» dice por qué.`,
    partly: (n) => `Se muestran los primeros ${n} vuelos.`,
    noPreview: "Parquet no se puede mostrar aquí; las respuestas están en el archivo.",
    firstRows: "Las primeras filas",
    lookFirst: "Los vuelos que mirar primero",
    byAirline: "Atrasos esperados por aerolínea, parte de sus vuelos",
    model: "El modelo",
    classifier: "Aprendido por",
    trained: "Entrenado",
    trainedOn: "Vuelos pasados",
    period: "Programados",
    delayRate: "Atrasados entre ellos",
    threshold: "Umbral",
    quality: "ROC AUC",
    qualitySplits: { random: "un tercio al azar", forward: "el último tercio por fecha" },
    fingerprint: "Huella",
    drift: "Las preguntas comparadas con los vuelos pasados",
    driftAbout: (flights, hours) => `Vuelos consultados en las últimas ${hours} horas: ${flights}`,
    driftField: "Campo",
    driftUnknown: "Valores desconocidos",
    driftIndex: "Índice de estabilidad",
    driftVerdict: "Veredicto",
    verdicts: { "too few flights": "muy pocos vuelos", stable: "estable", moderate: "moderado", major: "cambio mayor" },
    hour: "Hora",
    weekday: "Día de la semana",
    docs: "La API",
    unreachable: "No se puede llegar al servidor.",
    failed: (status) => `El servidor respondió con el estado ${status}.`,
    wait: "Cargando",
  },
};

const asked = new URLSearchParams(location.search).get("language");
let language = asked in TEXTS ? asked : navigator.language.startsWith("es") ? "es" : "en";

export const currentLanguage = () => language;

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text(node.dataset.label));
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
}

export function text(name, ...values) {
  const found = TEXTS[language][name];
  return typeof found === "function" ? found(...values) : found;
}

export const percent = (share, digits = 0) =>
  new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(share);

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

export const signed = (value) =>
  new Intl.NumberFormat(language, { signDisplay: "exceptZero", minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);

export const monthName = (month, style = "long") =>
  new Intl.DateTimeFormat(language, { month: style, timeZone: "UTC" }).format(new Date(Date.UTC(2024, month - 1, 1)));

export const weekdayName = (date) => new Intl.DateTimeFormat(language, { weekday: "long" }).format(date);
