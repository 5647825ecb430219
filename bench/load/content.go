// What objects consist of: one block of noise, over and over. Any piece of any object can be told from its offset.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

const blockSize = 8 << 20

// twoBlocks holds the block twice, so that every piece of up to a block lies in it in one piece.
var twoBlocks = sync.OnceValue(func() []byte {
	noise := rand.NewChaCha8([32]byte{'l', 'i', 'f', 'e', 'b', 'o', 'a', 't'})
	block := make([]byte, blockSize)
	_, _ = noise.Read(block)
	return append(block, block...)
})

// piece returns at most `length` bytes from `offset` on, and at most one block.
func piece(offset, length int64) []byte {
	from := offset % blockSize
	return twoBlocks()[from : from+min(length, blockSize)]
}

// content is an object, or a part of one, as it is sent.
type content struct {
	from, size int64
	at         int64
}

func (c *content) Read(buffer []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	n := copy(buffer, piece(c.from+c.at, c.size-c.at))
	c.at += int64(n)
	return n, nil
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		c.at = offset
	case io.SeekCurrent:
		c.at += offset
	case io.SeekEnd:
		c.at = c.size + offset
	}
	return c.at, nil
}

// hashes keeps the SHA-256 of parts: clients of AWS's make send it ahead of the part, and computing it is their work,
// not the server's.
var hashes sync.Map

func sha256Of(from, size int64) string {
	type key struct{ from, size int64 }
	at := key{from % blockSize, size}
	if known, ok := hashes.Load(at); ok {
		return known.(string)
	}
	hash := sha256.New()
	_, _ = io.Copy(hash, &content{from: from, size: size})
	text := hex.EncodeToString(hash.Sum(nil))
	hashes.Store(at, text)
	return text
}

// compare reads all of `reader` and fails unless it is what lies at `from`.
func compare(reader io.Reader, from, size int64) error {
	buffer := make([]byte, 256<<10)
	var at int64
	for {
		n, err := io.ReadFull(reader, buffer)
		if at+int64(n) > size || !bytes.Equal(buffer[:n], piece(from+at, int64(n))) {
			return fmt.Errorf("other bytes came back than were written, after byte %d", from+at)
		}
		at += int64(n)
		switch {
		case (err == io.EOF || err == io.ErrUnexpectedEOF) && at == size:
			return nil
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return fmt.Errorf("%d bytes came back instead of %d", at, size)
		case err != nil:
			return err
		}
	}
}
