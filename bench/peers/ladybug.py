"""One step of the peer: Ladybug (https://ladybugdb.com), the successor of Kuzu, a graph store inside the process.

ladybug.py make DATABASE FOLDER     fills a database from vertices.csv and edges.csv
ladybug.py export DATABASE FOLDER   EXPORT DATABASE to a new folder, as Parquet
ladybug.py import DATABASE FOLDER   IMPORT DATABASE from it into a new database

Prints what `lifeboat-bench step` prints, so that both are read in the same way. What the store does by default is
left as it is: threads, buffers, and when it writes to the disk.
"""

import json
import os
import resource
import sys
import time

import ladybug

VERTICES = (
    "CREATE NODE TABLE V(lid INT64 PRIMARY KEY, tx INT64, label STRING, identifier STRING, name STRING, "
    "created INT64, namespace STRING, tags STRING[], data STRING)"
)
EDGES = "CREATE REL TABLE E(FROM V TO V, lid INT64, tx INT64, label STRING, weight INT64, direction STRING)"
CSV = "(header=false, parallel=false, quote='\"', escape='\"')"


def size(folder):
    return sum(
        os.path.getsize(os.path.join(path, name))
        for path, _, names in os.walk(folder)
        for name in names
    )


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def machine():
    """Processor seconds of all processes, and those that there were to have."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(number) for number in stat.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / 100, sum(ticks) / 100


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def count(connection):
    total = 0
    for pattern in ("(n:V)", "()-[n:E]->()"):
        total += connection.execute(f"MATCH {pattern} RETURN count(n)").get_next()[0]
    return total


def main(step, path, folder):
    started, used_before, machine_before = time.monotonic(), cpu(), machine()
    database = ladybug.Database(path)
    connection = ladybug.Connection(database)
    if step == "make":
        connection.execute(VERTICES)
        connection.execute(EDGES)
        connection.execute(f"COPY V FROM '{folder}/vertices.csv' {CSV}")
        connection.execute(f"COPY E FROM '{folder}/edges.csv' {CSV}")
    elif step == "export":
        connection.execute(f"EXPORT DATABASE '{folder}' (format=\"parquet\")")
    elif step == "import":
        connection.execute(f"IMPORT DATABASE '{folder}'")
    else:
        raise SystemExit(f"no step is called {step}")
    seconds, used, peak = time.monotonic() - started, cpu() - used_before, peak_memory()
    busy, every = (after - before for before, after in zip(machine_before, machine()))
    print(
        json.dumps(
            {
                "elements": count(connection),
                "bytes": size(folder),
                "seconds": seconds,
                "cpu_seconds": used,
                "peak_memory": peak,
                "others": min(max((busy - used) / max(every, 0.01), 0), 1),
                "digest": None,
            }
        )
    )


main(*sys.argv[1:])
