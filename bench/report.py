"""Turns measurements into medians, ratios, Markdown and a chart. Pure, but for update_readme()."""

import statistics
from xml.sax.saxutils import escape

# Per kind: the number that is compared, whether more is better, and the further columns.
FIGURES = {
    "load": {"key": "per_broker_cpu_second", "more_is_better": True, "unit": "messages per broker-CPU-second",
             "more": [("per_second", "messages/s"), ("latency_p50_us", "p50 us"), ("latency_p99_us", "p99 us")]},
    "connect": {"key": "broker_cpu_us_each", "more_is_better": False, "unit": "broker CPU us per connection",
                "more": [("per_second", "connections/s")]},
    "idle": {"key": "bytes_each", "more_is_better": False, "unit": "resident bytes per connection", "more": []},
}
BEGIN = "<!-- results: written by ./dev bench --update-readme, not by hand -->"
END = "<!-- end of results -->"


def number(value):
    return "-" if value is None else f"{value:,.0f}"


def one_line(kind, result):
    if "failed" in result:
        return "FAILED: " + result["failed"]
    figure = FIGURES[kind]
    parts = [f"{number(result[figure['key']])} {figure['unit']}"]
    parts += [f"{number(result[key])} {label}" for key, label in figure["more"]]
    return ", ".join(parts)


def median(runs, key):
    """None as soon as one run failed: a broker that loses messages has no speed."""
    if not runs or any("failed" in r for r in runs):
        return None
    return statistics.median(r[key] for r in runs)


def ratio_of(mine, baseline):
    return mine / baseline if mine and baseline and mine > 0 and baseline > 0 else None


def summarise(scenarios, brokers, results):
    """One entry per scenario: {"name", "kind", "rows": [{"broker", "figure", "ratio", "more", "failed"}]}."""
    baseline = next((b["name"] for b in brokers if b.get("baseline")), None)
    out = []
    for scenario in scenarios:
        figure = FIGURES[scenario["kind"]]
        measured = results[scenario["name"]]
        base = median(measured.get(baseline, []), figure["key"])
        rows = []
        for broker in brokers:
            runs = measured[broker["name"]]
            value = median(runs, figure["key"])
            failures = [r["failed"] for r in runs if "failed" in r]
            rows.append({"broker": broker["name"], "figure": value, "ratio": ratio_of(value, base),
                         "more": [median(runs, key) for key, _ in figure["more"]],
                         "failed": failures[0] if failures else None, "measured": bool(runs)})
        out.append({"name": scenario["name"], "kind": scenario["kind"], "baseline": baseline, "rows": rows})
    return out


def facts_lines(facts):
    lines = [f"Machine: {facts['machine']}; load average {facts['load']} before the run.",
             f"Measured {facts['date']} at commit {facts['commit']}; {facts['method']}; medians."]
    return lines + [f"{name}: {version}" for name, version in facts["brokers"].items()]


def table(kind, entries):
    figure = FIGURES[kind]
    baseline = entries[0]["baseline"]
    better = "more" if figure["more_is_better"] else "less"
    heads = ["scenario", "broker", f"{figure['unit']} ({better} is better)", f"to {baseline}"]
    heads += [label for _, label in figure["more"]]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 2 + "---:|" * (len(heads) - 2)]
    for entry in entries:
        for row in entry["rows"]:
            if not row["measured"]:
                continue
            if row["failed"]:
                cells = ["failed: " + row["failed"].replace("|", "/").replace("\n", " "), "-"]
                cells += ["-"] * len(figure["more"])
            else:
                ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}x"
                cells = [number(row["figure"]), ratio, *(number(v) for v in row["more"])]
            lines.append("| " + " | ".join([entry["name"], row["broker"], *cells]) + " |")
    return lines


def markdown(facts, summary):
    lines = []
    for fact in facts_lines(facts):
        lines += ["- " + fact]
    for kind in FIGURES:
        entries = [e for e in summary if e["kind"] == kind]
        if entries:
            lines += ["", *table(kind, entries)]
    return "\n".join(lines) + "\n"


def svg(summary):
    """Bars of the ratio to the baseline, 1 per broker and scenario, turned so that a longer bar is better."""
    bars = []
    for entry in summary:
        for row in entry["rows"]:
            if row["ratio"] and row["broker"] != entry["baseline"]:
                better = row["ratio"] if FIGURES[entry["kind"]]["more_is_better"] else 1 / row["ratio"]
                bars.append((entry["name"], row["broker"], better))
    label_width, bar_width, line, top = 400, 420, 22, 44
    longest = max([better for _, _, better in bars] + [1.0])
    scale = bar_width / longest
    height = top + line * len(bars) + 16
    baseline = summary[0]["baseline"] if summary else ""
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


def update_readme(path, results):
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    picture = "![ratios to the baseline](results.svg)\n"
    path.write_text(f"{before}{BEGIN}\n\n{results}\n{picture}\n{END}{after}")
