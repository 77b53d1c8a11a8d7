package trail

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A segment that is full may be kept in compressed form, under the same name.
// Whoever reads it through [openSegment] finds the bytes it had, at the offsets that
// they had.
//
//	header  magic [16]
//	blocks  zstd frames of packedBlock bytes each, the last of what is left
//	table   for every block: length u32, CRC32C of its bytes as they are here u32
//	footer  bytes of the segment u64, bytes of a block u32, number of blocks u32, CRC32C of
//	        header, table and the footer before it u32
const (
	packedMagic  = "tokaido packed1\n"
	packedFooter = 20
	packedEntry  = 8

	// packedBlock is what is decompressed to read one record: some 50 µs.
	packedBlock = 128 << 10
	// maxPackedBlock is the largest block that is read.
	maxPackedBlock = 4 << 20
)

// packed reads a compressed segment as if it were not.
type packed struct {
	file  // with the compressed bytes
	name  string
	size  int64    // of the segment
	block int      // bytes of a block
	ends  []uint32 // where each block ends in the file
	sums  []uint32 // CRC32C of each
	cache *blockCache
}

var errPackedWrite = errors.New("trail: a compressed segment is not written to")

func (f *packed) WriteAt([]byte, int64) (int, error) { return 0, errPackedWrite }
func (f *packed) Truncate(int64) error               { return errPackedWrite }
func (f *packed) Size() (int64, error)               { return f.size, nil }
func (f *packed) onDisk() (int64, error)             { return f.file.Size() }

// bytesOnDisk is what a segment takes on the disk, in either form.
func bytesOnDisk(f file) (int64, error) {
	if p, ok := f.(interface{ onDisk() (int64, error) }); ok {
		return p.onDisk()
	}
	return f.Size()
}

// isPacked reports whether a segment is compressed.
func isPacked(f file) bool {
	switch f := f.(type) {
	case *packed, damaged:
		return true
	case *replaceable:
		return isPacked(f.now())
	}
	return false
}

// damaged is a compressed segment of which nothing can be read. That is said when
// it is read, so that what is before it is read first.
type damaged struct {
	*packed
	why *Corrupt
}

func (f damaged) ReadAt([]byte, int64) (int, error) { return 0, f.why }

// openSegment opens a segment in either form.
func openSegment(d disk, name string, cache *blockCache) (file, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	x, err := unpack(f, name, cache)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return x, nil
}

// unpack is f itself, unless it has the compressed form. An error is one of the
// disk; damage is told when the file is read.
func unpack(f file, name string, cache *blockCache) (file, error) {
	stored, err := f.Size()
	if err != nil {
		return nil, err
	}
	head := make([]byte, len(packedMagic))
	if stored < int64(len(head)) {
		return f, nil
	}
	if err := readFull(f, head, 0); err != nil {
		return nil, err
	}
	if string(head) != packedMagic {
		return f, nil
	}
	p := &packed{file: f, name: name, cache: cache}
	// Something to read, so that somebody comes to be told.
	at := max(0, stored-packedFooter)
	bad := func(why string) (file, error) {
		p.size = stored
		return damaged{p, &Corrupt{File: name, Offset: at, Reason: why}}, nil
	}
	if stored < int64(len(head))+packedFooter || stored > math.MaxUint32 {
		return bad("the table of its compressed blocks is cut off")
	}
	foot := make([]byte, packedFooter)
	if err := readFull(f, foot, at); err != nil {
		return nil, err
	}
	size, block, blocks := binary.LittleEndian.Uint64(foot), binary.LittleEndian.Uint32(foot[8:]), int64(binary.LittleEndian.Uint32(foot[12:]))
	blocksEnd := at - packedEntry*blocks
	if blocksEnd < int64(len(head)) || size == 0 || size > math.MaxUint32 || block == 0 || block > maxPackedBlock || blocks != (int64(size)+int64(block)-1)/int64(block) {
		return bad("its end is not that of a table of compressed blocks")
	}
	at = blocksEnd
	table := make([]byte, packedEntry*blocks)
	if err := readFull(f, table, at); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(foot[packedFooter-4:]) != packedSum(head, table, foot) {
		return bad("the checksum of the table of its compressed blocks is wrong")
	}
	end := uint64(len(head))
	for entry := range slices.Chunk(table, packedEntry) {
		end += uint64(binary.LittleEndian.Uint32(entry))
		if end > uint64(at) {
			return bad("its compressed blocks do not end where their table begins")
		}
		p.ends, p.sums = append(p.ends, uint32(end)), append(p.sums, binary.LittleEndian.Uint32(entry[4:]))
	}
	if end != uint64(at) {
		return bad("its compressed blocks do not end where their table begins")
	}
	p.size, p.block = int64(size), int(block)
	return p, nil
}

func packedSum(head, table, foot []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, table)
	return crc32.Update(sum, castagnoli, foot[:packedFooter-4])
}

// readFull fills b from an offset on.
func readFull(f io.ReaderAt, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return cmp.Or(err, io.ErrUnexpectedEOF)
}

// ReadAt reads bytes of the segment. Damage is a *Corrupt.
func (f *packed) ReadAt(b []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("trail: a negative offset")
	}
	if at >= f.size {
		return 0, io.EOF
	}
	if rest := f.size - at; int64(len(b)) > rest {
		b, err = b[:rest], io.EOF
	}
	for n < len(b) {
		no, from := int((at+int64(n))/int64(f.block)), int((at+int64(n))%int64(f.block))
		if whole := b[n:]; from == 0 && len(whole) >= f.length(no) {
			// Who takes it whole seldom comes again.
			got, err := f.read(no, whole[:0:f.length(no)])
			if err != nil {
				return n, err
			}
			n += len(got)
			continue
		}
		got, err := f.cache.copy(b[n:], f, no, from)
		if err != nil {
			return n, err
		}
		n += got
	}
	return n, err
}

// length is the bytes of the segment in a block.
func (f *packed) length(no int) int {
	return int(min(int64(f.block), f.size-int64(no)*int64(f.block)))
}

// read decompresses a block into room, which has the capacity for it and no more.
func (f *packed) read(no int, room []byte) ([]byte, error) {
	from := uint32(len(packedMagic))
	if no > 0 {
		from = f.ends[no-1]
	}
	bad := func(why string) error {
		return &Corrupt{File: f.name, Offset: int64(from), Reason: fmt.Sprintf("compressed block %d of %d, bytes %d to %d of the segment: %s",
			no+1, len(f.ends), int64(no)*int64(f.block), int64(no)*int64(f.block)+int64(f.length(no))-1, why)}
	}
	in := make([]byte, f.ends[no]-from)
	if err := readFull(f.file, in, int64(from)); err != nil {
		return nil, err
	}
	if crc32.Checksum(in, castagnoli) != f.sums[no] {
		return nil, bad("its checksum is wrong")
	}
	out, err := unpacker().DecodeAll(in, room)
	if err != nil {
		return nil, bad(err.Error())
	}
	if len(out) != f.length(no) {
		return nil, bad(fmt.Sprintf("it has %d bytes", len(out)))
	}
	return out, nil
}

// unpacker decompresses, for many at once. It never makes more than there is room for.
var unpacker = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxPackedBlock), zstd.WithDecoderMaxWindow(maxPackedBlock))
	if err != nil {
		panic(err) // the options are right
	}
	return d
})

// maxCached is how many blocks a cache keeps.
const maxCached = 16

// blockCache keeps the blocks of compressed segments that were read last.
type blockCache struct {
	mu     sync.Mutex
	blocks [maxCached]cachedBlock // guarded by mu
	clock  uint64                 // guarded by mu
}

type cachedBlock struct {
	of   *packed
	no   int
	b    []byte
	used uint64 // by the cache's clock
}

// copy copies what a block has from a place in it on.
func (c *blockCache) copy(into []byte, of *packed, no, from int) (n int, err error) {
	if n = c.cached(into, of, no, from); n > 0 {
		return n, nil
	}
	b, err := of.read(no, c.room(of.length(no)))
	if err != nil {
		return 0, err
	}
	n = copy(into, b[from:])
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := 0
	for i := range c.blocks {
		if c.blocks[i].used < c.blocks[oldest].used {
			oldest = i
		}
	}
	c.clock++
	c.blocks[oldest] = cachedBlock{of, no, b, c.clock}
	return n, nil
}

func (c *blockCache) cached(into []byte, of *packed, no, from int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.blocks {
		if x := &c.blocks[i]; x.of == of && x.no == no && x.b != nil {
			c.clock++
			x.used = c.clock
			return copy(into, x.b[from:])
		}
	}
	return 0
}

// room takes the memory of the block that was not used for longest.
func (c *blockCache) room(n int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := &c.blocks[0]
	for i := range c.blocks {
		if x := &c.blocks[i]; x.used < oldest.used {
			oldest = x
		}
	}
	b := oldest.b
	*oldest = cachedBlock{}
	if cap(b) < n {
		b = make([]byte, n)
	}
	return b[:0:n]
}

// Close closes the file.
func (f *packed) Close() error {
	f.cache.drop(f)
	return f.file.Close()
}

func (c *blockCache) drop(of *packed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.blocks {
		if c.blocks[i].of == of {
			c.blocks[i] = cachedBlock{}
		}
	}
}

// pack writes the compressed form of the first size bytes of from to to, and syncs
// it. stop ends it before its time.
func pack(from io.ReaderAt, size int64, to file, stop func() error) (stored int64, err error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return 0, err
	}
	if _, err := to.WriteAt([]byte(packedMagic), 0); err != nil {
		return 0, err
	}
	stored = int64(len(packedMagic))
	var table, out []byte
	in := make([]byte, packedBlock)
	for at := int64(0); at < size; at += packedBlock {
		if err := stop(); err != nil {
			return 0, err
		}
		in = in[:min(packedBlock, size-at)]
		if err := readFull(from, in, at); err != nil {
			return 0, err
		}
		out = z.EncodeAll(in, out[:0])
		if _, err := to.WriteAt(out, stored); err != nil {
			return 0, err
		}
		stored += int64(len(out))
		table = binary.LittleEndian.AppendUint32(table, uint32(len(out)))
		table = binary.LittleEndian.AppendUint32(table, crc32.Checksum(out, castagnoli))
	}
	end := binary.LittleEndian.AppendUint64(slices.Clone(table), uint64(size))
	end = binary.LittleEndian.AppendUint32(end, packedBlock)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(table)/packedEntry))
	end = binary.LittleEndian.AppendUint32(end, crc32.Update(crc32.Checksum([]byte(packedMagic), castagnoli), castagnoli, end))
	if _, err := to.WriteAt(end, stored); err != nil {
		return 0, err
	}
	stored += int64(len(end))
	if stored > math.MaxUint32 {
		return 0, errors.New("trail: a compressed segment of 4 GiB")
	}
	return stored, to.Sync()
}

// same says whether two files have the same bytes.
func same(a, b io.ReaderAt, size int64, stop func() error) error {
	x, y := make([]byte, packedBlock), make([]byte, packedBlock)
	for at := int64(0); at < size; at += packedBlock {
		if err := stop(); err != nil {
			return err
		}
		n := min(packedBlock, size-at)
		if err := errors.Join(readFull(a, x[:n], at), readFull(b, y[:n], at)); err != nil {
			return err
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return fmt.Errorf("trail: what was compressed reads differently from byte %d on", at)
		}
	}
	return nil
}
