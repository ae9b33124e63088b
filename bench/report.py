"""Turns measurements into medians, ratios, Markdown and a chart. Pure, but for update_readme()."""

import statistics
from xml.sax.saxutils import escape

CPU_UNIT = "messages per broker-CPU-second"

# Per kind one figure or several: the number that is compared, whether more is better, and the further columns, those in
# "compared_too" with a ratio of their own. `part` is added to the scenario's name; "compared": False has no ratio to the
# baseline, because that does something else.
FIGURES = {
    "load": [{"key": "per_broker_cpu_second", "more_is_better": True, "unit": CPU_UNIT,
              "more": [("per_second", "messages/s"), ("latency_p50_us", "p50 us"), ("latency_p99_us", "p99 us")],
              "compared_too": {"latency_p50_us", "latency_p99_us"}}],
    "shards": [{"key": "broker_cpu_us_each", "more_is_better": False, "unit": "broker CPU us per message",
                "more": [("per_second", "messages/s"), ("latency_p50_us", "p50 us"), ("latency_p99_us", "p99 us")]}],
    "beside": [{"key": "latency_p99_us", "more_is_better": False, "unit": "p99 us",
                "more": [("latency_p50_us", "p50 us"), ("beside_per_second", "messages/s of the other load")],
                "compared_too": {"latency_p50_us"}}],
    "retained": [{"key": "read_per_broker_cpu_second", "more_is_better": True, "unit": CPU_UNIT,
                  "more": [("read_per_second", "messages/s")]}],
    "offline": [{"key": f"{part}_per_broker_cpu_second", "part": f", {part}", "more_is_better": True, "unit": CPU_UNIT,
                 "more": [(f"{part}_per_second", "messages/s")]} for part in ("queued", "drained")],
    "durable": [{"key": "acknowledged_per_second", "more_is_better": True, "unit": "messages acknowledged per second",
                 "compared": False,
                 "more": [("acknowledged_p50_us", "p50 us"), ("acknowledged_p99_us", "p99 us"),
                          ("commits_per_second", "commits/s"), ("acknowledged_per_commit", "messages per commit")]}],
    "restart": [{"key": f"{part}_accepting_ms", "part": f", {name}", "more_is_better": False,
                 "unit": "ms from start to accepting",
                 "more": [(f"{part}_connack_ms", "CONNACK after, median ms"),
                          (f"{part}_connack_largest_ms", "of the largest session, ms"),
                          (f"{part}_stored_mib", "store MiB")]}
                for part, name in (("empty", "empty"), ("killed", "filled, killed"), ("stopped", "filled, stopped"))],
    "connect": [{"key": "broker_cpu_us_each", "more_is_better": False, "unit": "broker CPU us per connection",
                 "more": [("per_second", "connections/s")]}],
    "idle": [{"key": "bytes_each", "more_is_better": False, "unit": "resident bytes per connection", "more": []}],
    "quiet": [{"key": "cpu_percent", "more_is_better": False, "unit": "broker CPU, per cent of a core", "more": []}],
}
BEGIN = "<!-- results: written by ./dev bench --update-readme, not by hand -->"
END = "<!-- end of results -->"


def number(value):
    """Whole numbers; of small ones two digits that count."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def times(ratio):
    return "-" if ratio is None else f"{ratio:.2f}x" if ratio >= 0.1 else f"{ratio:.1g}x"


def one_line(kind, result):
    if "failed" in result:
        return "FAILED: " + result["failed"]
    parts = []
    for figure in FIGURES[kind]:
        columns = [(figure["key"], figure["unit"] + figure.get("part", "")), *figure["more"]]
        parts += [f"{number(result[key])} {label}" for key, label in columns if key in result]
    return ", ".join(parts)


def median(runs, key):
    """None as soon as one run failed: a broker that loses messages has no speed. None, too, where nothing is told."""
    if any("failed" in r or key not in r for r in runs):
        return None
    return statistics.median(r[key] for r in runs)


def ratio_of(mine, baseline):
    return mine / baseline if mine and baseline and mine > 0 and baseline > 0 else None


def rows_of(figure, measured, baseline):
    def ratio(runs, key):
        return ratio_of(median(runs, key), median(measured[baseline], key)) if baseline in measured else None

    for broker, runs in measured.items():
        yield {"broker": broker, "figure": median(runs, figure["key"]),
               "ratio": ratio(runs, figure["key"]) if figure.get("compared", True) else None,
               "more": [(median(runs, key), ratio(runs, key)) for key, _ in figure["more"]],
               "failed": next((r["failed"] for r in runs if "failed" in r), None)}


def summarise(scenarios, baseline, results):
    """One entry per scenario and figure: {"name", "kind", "what", "baseline", "rows"}, `what` being the figure."""
    return [{"name": scenario["name"] + figure.get("part", ""), "kind": scenario["kind"], "what": figure,
             "baseline": scenario.get("baseline", baseline),
             "rows": list(rows_of(figure, results[scenario["name"]], scenario.get("baseline", baseline)))}
            for scenario in scenarios if results[scenario["name"]] for figure in FIGURES[scenario["kind"]]]


def facts_lines(facts):
    lines = [f"Machine: {facts['machine']}; load average {facts['load']} before the run.",
             f"Disk: {facts['disk']}.",
             f"Measured {facts['date']} at commit {facts['commit']}; {facts['method']}; medians."]
    return lines + [f"{name}: {version}" for name, version in facts["brokers"].items()]


def heads_of(figure, baseline):
    better = "more" if figure["more_is_better"] else "less"
    yield from ("scenario", "broker", f"{figure['unit']} ({better} is better)", f"to {baseline}")
    for key, label in figure["more"]:
        yield label
        if key in figure.get("compared_too", ()):
            yield f"to {baseline}"


def cells_of(figure, row):
    if row["failed"]:
        yield "failed: " + row["failed"].replace("|", "/").replace("\n", " ")
        return
    yield from (number(row["figure"]), times(row["ratio"]))
    for (key, _), (value, ratio) in zip(figure["more"], row["more"]):
        yield number(value)
        if key in figure.get("compared_too", ()):
            yield times(ratio)


def table(entries):
    figure = entries[0]["what"]
    heads = list(heads_of(figure, entries[0]["baseline"]))
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 2 + "---:|" * (len(heads) - 2)]
    for entry in entries:
        for row in entry["rows"]:
            cells = [entry["name"], row["broker"], *cells_of(entry["what"], row)]
            lines.append("| " + " | ".join(cells + ["-"] * (len(heads) - len(cells))) + " |")
    return lines


def markdown(facts, summary):
    lines = []
    for fact in facts_lines(facts):
        lines += ["- " + fact]
    for kind in FIGURES:
        entries = [e for e in summary if e["kind"] == kind]
        if entries:
            lines += ["", *table(entries)]
    return "\n".join(lines) + "\n"


def svg(summary):
    """Bars of the ratio to the baseline, 1 per broker and scenario, turned so that a longer bar is better."""
    bars = []
    baseline = next((entry["baseline"] for entry in summary), None)
    for entry in summary:
        for row in entry["rows"]:
            if row["ratio"] and row["broker"] != baseline and entry["baseline"] == baseline:
                better = row["ratio"] if entry["what"]["more_is_better"] else 1 / row["ratio"]
                bars.append((entry["name"], row["broker"], better))
    label_width, bar_width, line, top = 460, 420, 22, 44
    longest = max([better for _, _, better in bars] + [1.0])
    scale = bar_width / longest
    height = top + line * len(bars) + 16
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{label_width + bar_width + 80}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="8" y="20" font-size="14">'
           f'How many times better than {escape(str(baseline))} (per broker CPU, or memory); the line is 1</text>']
    for i, (scenario, broker, better) in enumerate(bars):
        y = top + line * i
        out.append(f'<text x="{label_width - 8}" y="{y + 13}" text-anchor="end">'
                   f'{escape(scenario)} ({escape(broker)})</text>'
                   f'<rect x="{label_width}" y="{y}" width="{better * scale:.1f}" height="{line - 6}" fill="#3a6ea5"/>'
                   f'<text x="{label_width + better * scale + 6:.1f}" y="{y + 13}">{better:.2f}x</text>')
    x = label_width + scale
    out.append(f'<line x1="{x:.1f}" y1="{top - 8}" x2="{x:.1f}" y2="{height - 12}" stroke="#c33" stroke-width="1"/></svg>')
    return "\n".join(out) + "\n"


def replace_between(path, begin, end, text):
    whole = path.read_text()
    before, rest = whole.split(begin, 1)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{rest.split(end, 1)[1]}")


def update_readme(path, results):
    replace_between(path, BEGIN, END, f"{results}\n![ratios to the baseline](results.svg)\n")
