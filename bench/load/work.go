// The kinds of work, and how several clients share one.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

// work is one kind of it, ready to begin.
type work struct {
	// How often, unless the time is over before. Zero: until the time is over.
	count int
	// once does the operation with this number. What takes long stops in between when the time is over, and counts for
	// the bytes it moved.
	once func(number int, end time.Time) (done, error)
}

type done struct {
	operations int64
	bytes      int64
	// How long the last call of an upload took.
	complete time.Duration
}

// run has all clients take the next operation until there is none.
func (w work) run(o options) report {
	var next atomic.Int64
	var lock sync.Mutex
	var latencies, completes []time.Duration
	var result report
	var clients sync.WaitGroup
	cpu, start := cpuSeconds(), time.Now()
	end := start.Add(o.limit)
	for range o.clients {
		clients.Go(func() {
			var own []time.Duration
			for {
				number := int(next.Add(1) - 1)
				began := time.Now()
				if w.count > 0 && number >= w.count || !began.Before(end) {
					break
				}
				one, err := w.once(number, end)
				took := time.Since(began)
				if err == nil {
					own = append(own, took)
				}
				lock.Lock()
				if err != nil {
					result.Errors++
					if result.FirstError == "" {
						result.FirstError = err.Error()
					}
				}
				if one.complete > 0 {
					completes = append(completes, one.complete)
				}
				result.Operations += one.operations
				result.Bytes += one.bytes
				lock.Unlock()
			}
			lock.Lock()
			latencies = append(latencies, own...)
			lock.Unlock()
		})
	}
	clients.Wait()
	result.Seconds = time.Since(start).Seconds()
	result.CPUSeconds = cpuSeconds() - cpu
	sortDurations(latencies)
	sortDurations(completes)
	result.Median, result.P99, result.Max = milliseconds(latencies, 0.5), milliseconds(latencies, 0.99), milliseconds(latencies, 1)
	result.CompleteMedian, result.CompleteMax = milliseconds(completes, 0.5), milliseconds(completes, 1)
	return result
}

// prepare finds what the work needs, outside of its time.
func prepare(ctx context.Context, client *minio.Core, o options, operation string) (work, error) {
	twoBlocks()
	var there []minio.ObjectInfo
	switch operation {
	case "get", "stat", "copy", "delete", "delete-each":
		var err error
		if there, err = list(ctx, client, o.bucket, o.prefix); err != nil {
			return work{}, err
		}
		if len(there) == 0 {
			return work{}, fmt.Errorf("no objects below `%s`", o.prefix)
		}
	}
	each := func(object func(minio.ObjectInfo) (done, error)) work {
		return work{count: o.count, once: func(number int, _ time.Time) (done, error) { return object(there[number%len(there)]) }}
	}
	all := func(object func(minio.ObjectInfo) (done, error)) work {
		w := each(object)
		w.count = len(there)
		return w
	}
	switch operation {
	case "put":
		return work{o.count, func(number int, _ time.Time) (done, error) {
			_, err := client.Client.PutObject(ctx, o.bucket, key(o.prefix, number), &content{size: o.size}, o.size,
				minio.PutObjectOptions{DisableMultipart: true})
			return bytesOf(o.size, err)
		}}, nil
	case "multipart":
		for from := int64(0); from < o.size; from += o.part {
			sha256Of(from, min(o.part, o.size-from))
		}
		return work{o.count, func(number int, end time.Time) (done, error) {
			return upload(ctx, client, o, key(o.prefix, number), end)
		}}, nil
	case "get":
		return each(func(object minio.ObjectInfo) (done, error) { return get(ctx, client, o, object) }), nil
	case "stat":
		return each(func(object minio.ObjectInfo) (done, error) {
			_, err := client.Client.StatObject(ctx, o.bucket, object.Key, minio.StatObjectOptions{})
			return bytesOf(0, err)
		}), nil
	case "copy":
		return all(func(object minio.ObjectInfo) (done, error) {
			// As vmbackup does it: the copy has no metadata of the original.
			_, err := client.Client.CopyObject(ctx,
				minio.CopyDestOptions{Bucket: o.bucket, Object: o.to + strings.TrimPrefix(object.Key, o.prefix), ReplaceMetadata: true},
				minio.CopySrcOptions{Bucket: o.bucket, Object: object.Key})
			return bytesOf(object.Size, err)
		}), nil
	case "list":
		return work{max(o.count, 1), func(int, time.Time) (done, error) {
			found, err := list(ctx, client, o.bucket, o.prefix)
			one := done{operations: int64(len(found))}
			for _, object := range found {
				one.bytes += object.Size
			}
			return one, err
		}}, nil
	case "delete":
		// A thousand in each request.
		return work{1, func(_ int, end time.Time) (done, error) {
			return deleteAll(ctx, client, o.bucket, there, end)
		}}, nil
	case "delete-each":
		return all(func(object minio.ObjectInfo) (done, error) {
			return bytesOf(0, client.Client.RemoveObject(ctx, o.bucket, object.Key, minio.RemoveObjectOptions{}))
		}), nil
	}
	return work{}, fmt.Errorf("`%s` is nothing that can be done", operation)
}

// key spreads objects over folders of a thousand.
func key(prefix string, number int) string {
	return fmt.Sprintf("%s%05d/object-%08d", prefix, number/1000, number)
}

func bytesOf(size int64, err error) (done, error) {
	if err != nil {
		return done{}, err
	}
	return done{operations: 1, bytes: size}, nil
}

func list(ctx context.Context, client *minio.Core, bucket, prefix string) ([]minio.ObjectInfo, error) {
	var found []minio.ObjectInfo
	for object := range client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, fmt.Errorf("cannot list `%s`: %w", prefix, object.Err)
		}
		found = append(found, object)
	}
	return found, nil
}

// deleteAll asks for no more deletes when the time is over.
func deleteAll(ctx context.Context, client *minio.Core, bucket string, there []minio.ObjectInfo, end time.Time) (done, error) {
	doomed := make(chan minio.ObjectInfo)
	asked := make(chan int64, 1)
	go func() {
		var count int64
		for _, object := range there {
			if !time.Now().Before(end) {
				break
			}
			doomed <- object
			count++
		}
		close(doomed)
		asked <- count
	}()
	var errs []error
	for failure := range client.RemoveObjects(ctx, bucket, doomed, minio.RemoveObjectsOptions{}) {
		errs = append(errs, failure.Err)
	}
	return done{operations: <-asked - int64(len(errs))}, errors.Join(errs...)
}

// get reads an object, or a range that begins anywhere in it.
func get(ctx context.Context, client *minio.Core, o options, object minio.ObjectInfo) (done, error) {
	var from int64
	size := object.Size
	get := minio.GetObjectOptions{}
	if o.rangeOf > 0 && o.rangeOf < size {
		from, size = rand.Int64N(size-o.rangeOf), o.rangeOf
		if err := get.SetRange(from, from+size-1); err != nil {
			return done{}, err
		}
	}
	body, _, _, err := client.GetObject(ctx, o.bucket, object.Key, get)
	if err != nil {
		return done{}, err
	}
	defer body.Close()
	return bytesOf(size, compare(body, from, size))
}

// upload sends the parts one after the other, each with its hash ahead of it, as the tools of VictoriaMetrics do.
func upload(ctx context.Context, client *minio.Core, o options, key string, end time.Time) (done, error) {
	id, err := client.NewMultipartUpload(ctx, o.bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return done{}, err
	}
	var parts []minio.CompletePart
	for from := int64(0); from < o.size; from += o.part {
		if !time.Now().Before(end) {
			return done{bytes: from}, client.AbortMultipartUpload(ctx, o.bucket, key, id)
		}
		size := min(o.part, o.size-from)
		part, err := client.PutObjectPart(ctx, o.bucket, key, id, len(parts)+1, &content{from: from, size: size}, size,
			minio.PutObjectPartOptions{Sha256Hex: sha256Of(from, size)})
		if err != nil {
			return done{}, err
		}
		parts = append(parts, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
	}
	began := time.Now()
	_, err = client.CompleteMultipartUpload(ctx, o.bucket, key, id, parts, minio.PutObjectOptions{})
	one, err := bytesOf(o.size, err)
	one.complete = time.Since(began)
	return one, err
}
