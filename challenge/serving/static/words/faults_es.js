// The sentences of the service's faults in Spanish, by their types: of what was given, the
// fault's `ctx`, and its `loc`. Those of no type here are told as the service wrote them.

import { listed, monthName, number, plural } from "../texts.js";

const NOUNS = {
  OPERA: "una aerolínea",
  TIPOVUELO: "un tipo de vuelo",
  SIGLAORI: "un origen",
  SIGLADES: "un destino",
};
const LONGEST = 100;

function quoted(value) {
  const words = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return `«${words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words}»`;
}

const named = (names) => listed(names.map(quoted));
const noun = (loc) => NOUNS[loc.at(-1)] ?? "un valor";
const bytes = (count) => plural(count, "byte", "bytes");

function hint({ write, nearest, known, names }) {
  if (write) return `; escriba ${quoted(write)}`;
  if (nearest) return `; lo más parecido: ${named(nearest)}`;
  if (known) return `; conoce: ${named(known)}`;
  return names ? "; nada de lo que conoce se le parece" : "";
}

const time = (input, { reason }) => `${quoted(input)} ${{
  offset: "indica una diferencia con UTC, y no se conoce la zona horaria del aeropuerto; escriba la hora local, sin esa diferencia",
  calendar: "no es una hora de este calendario",
}[reason] ?? "no es una hora local como «2017-03-06 08:15:00»"}`;

function tooLong(input, { most, flights, bytes: limit }) {
  if (flights) return `hay más de ${plural(flights, "vuelo", "vuelos")}; envíelos en partes`;
  if (limit) return `un vuelo tiene más de ${bytes(limit)}`;
  return most ? `${quoted(input)} tiene más de ${plural(most, "carácter", "caracteres")}` : null;
}

function columns({ missing, found, nearest = {}, format }) {
  const near = Object.entries(nearest).map(([name, names]) => `${quoted(name)} se parece a ${named(names)}`);
  const form = format ? [`se parece al formato ${quoted(format)}`] : near;
  const lacking = `${missing.length === 1 ? "falta la columna" : "faltan las columnas"} ${named(missing)}`;
  return [lacking, found.length ? `tiene: ${named(found)}` : "no tiene ninguna", ...form].join("; ");
}

export default {
  // Of a field.
  missing: () => "es un dato obligatorio",
  unknown_value: (input, ctx, loc) => `${quoted(input)} no es ${noun(loc)} que el modelo conozca${hint(ctx)}`,
  string_type: (input, { reason }) => (reason === "time" ? time(input, {}) : `${quoted(input)} no es un texto`),
  int_type: (input) => `${quoted(input)} no es un número entero`,
  out_of_range: (input, ctx, loc) => (loc.at(-1) === "MES" ? `${quoted(input)} no es un mes; los meses van de 1 a 12` : null),
  too_long: tooLong,
  datetime_format: time,
  month_mismatch: (input, { month }) => `${quoted(input)} no es de ${monthName(month)}, que es el mes indicado`,
  extra_forbidden: () => "no es un dato de un vuelo",
  more_faults: (input, { faults }) => `y ${plural(faults, "problema más", "problemas más")}`,
  // Of a request.
  api_key: () => "la clave de API falta o no es válida",
  rate_limit: () => "demasiadas consultas seguidas; espere un momento",
  uploads: () => "demasiados envíos a la vez; espere un momento",
  overloaded: () => "el servidor está ocupado; vuelva a intentarlo",
  draining: () => "el servidor se está deteniendo; vuelva a intentarlo",
  out_of_memory: () => "el servidor se quedó sin memoria; vuelva a intentarlo más tarde",
  internal: () => "el servidor falló; su registro tiene los detalles",
  unknown_past: () => "el archivo del modelo no guarda vuelos pasados con que explicar",
  unknown_flight: () => "ningún mensaje habló de ese vuelo",
  not_found: (input, { path, reason }) => (reason === "disabled" ? `${path} está desactivado` : `no hay nada en ${path}`),
  form: () => "el archivo no llegó entero; envíelo otra vez",
  media_type: () => "no es un archivo de vuelos: elija CSV, Excel (.xlsx) o Parquet",
  no_room: () => "el servidor no tiene espacio para el archivo",
  // Of a file.
  missing_columns: (input, ctx) => columns(ctx),
  empty_file: () => "el archivo está vacío",
  old_excel: () => "es un archivo de Excel antiguo o con contraseña; guárdelo como .xlsx",
  unreadable_file: () => "el archivo no se puede leer: está dañado, está cortado o no es lo que dice su nombre",
  several_files: (input, { found }) => `el .zip debe contener un solo archivo; contiene ${found}`,
  zipped_no_text: (input, { name }) => `contiene ${quoted(name)}, que no es un texto; sáquelo del .zip`,
  long_header: (input, { characters }) => `no tiene fin de línea en sus primeros ${number(characters)} caracteres`,
  many_columns: (input, { columns: count, most }) => `tiene ${number(count)} columnas; puede tener ${number(most)}`,
  column_twice: (input, { name }) => `tiene dos veces la columna ${name}`,
  column_there: (input, { name }) => `ya tiene una columna ${quoted(name)}; quítela o cámbiele el nombre`,
  many_blanks: (input, { most }) => `tiene líneas en blanco en más de ${number(most)} lugares`,
  long_record: (input, { row }) => `la fila ${number(row)} es demasiado larga; ¿falta cerrar unas comillas?`,
  ambiguous_dates: (input, { example }) => `tiene fechas como ${quoted(example)}, en que no se distingue el día del mes; escríbalas como 2017-03-06`,
  no_time_zone: () => "sus horas no son las del aeropuerto y no se conoce su zona horaria; escriba horas locales",
  not_of_format: (input, { format }) => `no se puede leer en el formato ${quoted(format)}`,
  not_as_excel: (input, { row }) => `no se puede responder como .xlsx: la fila ${number(row)} es demasiado grande`,
  too_large: (input, { most }) => `supera el máximo de ${bytes(most)}; envíelo en partes`,
  many_values: (input, { values, most }) => `una columna tiene ${number(values)} valores; puede tener ${number(most)}`,
  large_texts: (input, { most }) => `sus textos suman más de ${bytes(most)}; guárdelo como CSV`,
  // Of a row.
  ragged_row: (input, { values, columns: count }) => `tiene ${plural(values, "valor", "valores")}; el encabezado tiene ${plural(count, "columna", "columnas")}`,
  undecodable_row: (input, { encoding }) => `tiene caracteres que no son texto en ${encoding}; guarde el archivo en UTF-8`,
  open_quote: () => "tiene unas comillas sin cerrar; el archivo termina antes",
};
