#!/usr/bin/env bash
# The page of megin report in a real browser: it opens without a network, holds its tables and charts, and draws them
# inside the window.
# Usage: report_page_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

if ! command -v chromium >/dev/null; then
  echo "SKIPPED: no chromium here; scripts/install_dependencies.sh --dev installs it"
  exit 77
fi

toy_data
must_train dense --set train.method=dense --set train.max_updates=20 --set train.validation.every=10
must_train switch --set train.method=switch --set train.max_updates=20 --set train.validation.every=10
must_train moe_tok --set train.method=moe_tok --set train.max_updates=20 --set train.validation.every=10

# A language model of two seeds, which stand as one line and one row.
toy_text prepared_text 20 10
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
must_train lm-1 --set train.seed=1
must_train lm-2 --set train.seed=2

# What `megin evaluate --seeds 3 --json` would write.
echo '{"runs":[{"bleu":20.1,"loss":3},{"bleu":20.4,"loss":3},{"bleu":20.3,"loss":3}]}' >thor.json
echo '{"runs":[{"bleu":19.2,"loss":3},{"bleu":20.8,"loss":3},{"bleu":18.9,"loss":3}]}' >switch.json
"$megin" report dense switch moe_tok lm-1 lm-2 --consistency thor.json switch.json --output page.html --title "Toys" ||
  fail "megin report"
grep -q '<td class="right">2 seeds</td>' page.html || fail "wanted the two language models in one row"
grep -q '>word perplexity</th>' page.html || fail "wanted a column for the perplexity by word"
grep -q '<h2>Routing of lm</h2>' page.html || fail "wanted one part for the routing of both language models"
# One line for each of two runs, in the legend and in the plot.
fluctuation=$(sed -n '/>Routing fluctuation<\/text>/,/<\/svg>/p' page.html)
[[ $(grep -c 'stroke-width="2.2"' <<<"$fluctuation") == 4 ]] || fail "wanted fluctuation of switch and lm: $fluctuation"

# Measures what was laid out; the page itself has no program in it.
sed 's|</body>|<script>document.title = JSON.stringify({charts: [...document.querySelectorAll("svg")].filter(s => \
s.getBoundingClientRect().width > 300 \&\& s.getBoundingClientRect().height > 150).length, \
tables: document.querySelectorAll("table").length, rows: document.querySelectorAll("td").length, \
fits: document.documentElement.scrollWidth <= window.innerWidth, \
text: [...document.querySelectorAll("svg text")].every(t => t.getBBox().width > 0)});</script></body>|' page.html >measured.html
browse() {
  timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$folder/profile" \
    --host-resolver-rules='MAP * ~NOTFOUND' --window-size=1280,2000 "$@" 2>browser.err || fail "chromium: $(tail -n 3 browser.err)"
}
browse --dump-dom "file://$folder/measured.html" >dom.html
found=$(sed -nE 's|.*<title>(\{.*\})</title>.*|\1|p' dom.html)
charts=$(grep -c '^<svg' page.html)
((charts >= 25)) || fail "wanted at least 25 charts, found $charts"
# Tables: the runs, the spread over seeds, the loads of switch, moe_tok and lm, the settings.
[[ $found == "{\"charts\":$charts,\"tables\":6,"*"\"fits\":true,\"text\":true}" ]] ||
  fail "wanted $charts charts drawn, 6 tables, and all of it within the window; the browser found '$found'"
browse --screenshot="$folder/page.png" "file://$folder/page.html" >/dev/null
(($(stat -c %s page.png) > 50000)) || fail "the picture of the page is nearly empty: $(stat -c %s page.png) bytes"
shown "a browser without a network draws all $charts charts of the page within its window"
