# Adds lines of what the edge answered (snippets/count.conf) to sums in Prometheus's text format, and prints the sums.
# Usage: awk -f count_answers.awk part=sums OLD_SUMS part=lines -

function add(name, amount) { sum[name] += amount }

BEGIN { count = split("0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30", bounds, " ") }

part == "sums" && /^thumbstack_/ { sum[$1] = $2 }

# A line that was read while it was being written is let go.
part == "lines" && /^(-|[A-Z]+) [1-5][0-9][0-9] [0-9]+\.[0-9][0-9][0-9] [0-9]+$/ {
    cache = $1 == "-" ? "NONE" : $1
    add("thumbstack_edge_answers_total{cache=\"" cache "\",status=\"" $2 "\"}", 1)
    add("thumbstack_edge_sent_bytes_total", $4)
    for (i = 1; i <= count; i++)
        add("thumbstack_edge_seconds_bucket{cache=\"" cache "\",le=\"" bounds[i] "\"}", $3 <= bounds[i] + 0)
    add("thumbstack_edge_seconds_bucket{cache=\"" cache "\",le=\"+Inf\"}", 1)
    add("thumbstack_edge_seconds_count{cache=\"" cache "\"}", 1)
    add("thumbstack_edge_seconds_sum{cache=\"" cache "\"}", $3)
}

function show(family, kind, what,   name) {
    print "# HELP " family " " what
    print "# TYPE " family " " kind
    fflush()
    for (name in sum)
        if (index(name, family) == 1)
            printf "%s %.3f\n", name, sum[name] | "sort"
    close("sort")
}

END {
    show("thumbstack_edge_answers_total", "counter", "Answers to clients, by what the cache said")
    show("thumbstack_edge_seconds", "histogram", "From the first byte of a request to the last of its answer")
    show("thumbstack_edge_sent_bytes_total", "counter", "Bytes of the bodies of answers")
}
