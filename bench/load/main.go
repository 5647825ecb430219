// Load on an S3 server, as the benches want it: one kind of work, a number of clients, one line of JSON about it.
//
// It is written on minio-go so that no line of Lifeboat's own is on the side that measures. What is read is compared
// with what was written, and any error counts: a server cannot be fast by being wrong.
//
// Its keys come from the environment: arguments can be seen by everyone on the machine.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sort"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// options is what the command line says.
type options struct {
	endpoint string
	bucket   string
	prefix   string
	to       string
	size     int64
	part     int64
	rangeOf  int64
	count    int
	clients  int
	limit    time.Duration
}

// report is what is printed.
type report struct {
	Operations int64   `json:"operations"`
	Bytes      int64   `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	// Of one operation, in milliseconds.
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	// Of the last call of an upload, in milliseconds.
	CompleteMedian float64 `json:"complete_median_ms,omitempty"`
	CompleteMax    float64 `json:"complete_max_ms,omitempty"`
	Errors         int64   `json:"errors"`
	FirstError     string  `json:"first_error,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("say what to do: put, multipart, get, stat, copy, list, delete or delete-each")
	}
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	client, err := connect(o)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if exists, err := client.BucketExists(ctx, o.bucket); err != nil {
		return fmt.Errorf("cannot ask for bucket `%s`: %w", o.bucket, err)
	} else if !exists {
		if err := client.MakeBucket(ctx, o.bucket, minio.MakeBucketOptions{}); err != nil {
			return fmt.Errorf("cannot make bucket `%s`: %w", o.bucket, err)
		}
	}
	w, err := prepare(ctx, client, o, arguments[0])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(w.run(o))
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&o.endpoint, "endpoint", "127.0.0.1:9000", "address and port")
	flags.StringVar(&o.bucket, "bucket", "bench", "made when it is not there")
	flags.StringVar(&o.prefix, "prefix", "", "of the keys that are written, read, copied, listed or deleted")
	flags.StringVar(&o.to, "to", "", "copy: the prefix of the copies")
	flags.Int64Var(&o.size, "size", 1<<20, "put, multipart: bytes of an object")
	flags.Int64Var(&o.part, "part", 5<<20, "multipart: bytes of a part")
	flags.Int64Var(&o.rangeOf, "range", 0, "get: bytes of a range somewhere in the object; 0: all of it")
	flags.IntVar(&o.count, "count", 0, "operations; 0: until the time is over, or as many as there are objects")
	flags.IntVar(&o.clients, "clients", 1, "how many work at once")
	flags.DurationVar(&o.limit, "limit", time.Hour, "after this nothing is begun, neither an operation nor a part")
	if err := flags.Parse(arguments[1:]); err != nil {
		return o, err
	}
	return o, nil
}

// connect takes path style and signs every body.
func connect(o options) (*minio.Core, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = o.clients
	transport.MaxIdleConnsPerHost = o.clients
	transport.DisableCompression = true
	// The load should not be what is measured: few system calls for a large body.
	transport.WriteBufferSize = 256 << 10
	transport.ReadBufferSize = 256 << 10
	return minio.NewCore(o.endpoint, &minio.Options{
		Creds:        credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Region:       "us-east-1",
		BucketLookup: minio.BucketLookupPath,
		Transport:    transport,
		// A failure is a failure, not a slower success.
		MaxRetries: 1,
	})
}

func milliseconds(sorted []time.Duration, quantile float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(quantile * float64(len(sorted)-1))
	return float64(sorted[at].Microseconds()) / 1000
}

func sortDurations(durations []time.Duration) {
	sort.Slice(durations, func(a, b int) bool { return durations[a] < durations[b] })
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}
