#!/bin/sh
# Requests with curl: sh examples/requests.sh http://127.0.0.1:8000
set -eu
url=${1:-http://127.0.0.1:8000}

ask() {
	curl --silent --show-error --fail-with-body "$@"
	echo
}

post() {
	ask --header 'Content-Type: application/json' --data "$2" "$url$1"
}

echo "# A prediction"
post /predict '{"flights":[{"OPERA":"Grupo LATAM","TIPOVUELO":"N","MES":3}]}'

echo "# Several flights, with probabilities and optional fields"
post '/predict?details=true' '{"flights":[
	{"OPERA":"Sky Airline","TIPOVUELO":"N","MES":7,"SIGLADES":"Calama","Fecha-I":"2017-07-14 18:30:00"},
	{"OPERA":"Copa Air","TIPOVUELO":"I","MES":12}]}'

echo "# An explanation, in Spanish"
post '/explain?language=es' '{"flights":[{"OPERA":"Sky Airline","TIPOVUELO":"N","MES":7}]}'

echo "# A file"
printf 'OPERA,TIPOVUELO,MES\nGrupo LATAM,N,3\nCopa Air,I,12\n' |
	ask --header 'Content-Type: text/csv' --data-binary @- "$url/predict/file"

echo "# The Open Inference Protocol"
post /v2/models/delay/infer '{"inputs":[
	{"name":"OPERA","shape":[1],"datatype":"BYTES","data":["Grupo LATAM"]},
	{"name":"TIPOVUELO","shape":[1],"datatype":"BYTES","data":["N"]},
	{"name":"MES","shape":[1],"datatype":"INT64","data":[3]}]}'

echo "# The heat map of airlines and months, and the served model"
ask "$url/heatmap?TIPOVUELO=N" | head -c 200
echo
ask "$url/model" | head -c 200
echo
