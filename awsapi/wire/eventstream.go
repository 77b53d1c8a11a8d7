package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Limits of one message, those of the format.
const (
	MaxEventHeaders = 128 << 10
	MaxEventPayload = 24 << 20
)

const (
	preludeLen  = 12 // total length, length of headers, CRC of both
	overheadLen = preludeLen + 4
)

// HeaderType is the type of a header's value.
type HeaderType uint8

// The types.
const (
	HeaderTrue HeaderType = iota
	HeaderFalse
	HeaderByte
	HeaderInt16
	HeaderInt32
	HeaderInt64
	HeaderBytes
	HeaderString
	HeaderTimestamp // milliseconds since 1970
	HeaderUUID
)

// fixed is the length of a type's value; -1: a length comes first.
var fixed = [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16}

// EventHeader is one header. Value is the value as it stands in the message,
// without a length before it.
type EventHeader struct {
	Name  string
	Type  HeaderType
	Value []byte
}

// Message is one message of an event stream.
type Message struct {
	Headers []EventHeader
	Payload []byte
}

// Header returns a header that is a string; "" if there is none.
func (m *Message) Header(name string) string {
	for _, h := range m.Headers {
		if h.Name == name && h.Type == HeaderString {
			return string(h.Value)
		}
	}
	return ""
}

// StringHeader is a header with a string value.
func StringHeader(name, v string) EventHeader {
	return EventHeader{name, HeaderString, []byte(v)}
}

// AppendMessage appends m. It fails if a part of m is too large for the format.
func AppendMessage(b []byte, m Message) ([]byte, error) {
	headers := 0
	for _, h := range m.Headers {
		switch {
		case len(h.Name) == 0 || len(h.Name) > 255:
			return b, fmt.Errorf("event stream: a header's name of %d bytes", len(h.Name))
		case int(h.Type) >= len(fixed):
			return b, fmt.Errorf("event stream: header type %d", h.Type)
		case fixed[h.Type] >= 0 && len(h.Value) != fixed[h.Type], len(h.Value) > 1<<15-1:
			return b, fmt.Errorf("event stream: header %s of type %d with %d bytes", h.Name, h.Type, len(h.Value))
		}
		headers += 2 + len(h.Name) + len(h.Value)
		if fixed[h.Type] < 0 {
			headers += 2
		}
	}
	if headers > MaxEventHeaders || len(m.Payload) > MaxEventPayload {
		return b, fmt.Errorf("event stream: %d bytes of headers and %d of payload are more than %d and %d", headers, len(m.Payload), MaxEventHeaders, MaxEventPayload)
	}
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(overheadLen+headers+len(m.Payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(headers))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	for _, h := range m.Headers {
		b = append(b, byte(len(h.Name)))
		b = append(b, h.Name...)
		b = append(b, byte(h.Type))
		if fixed[h.Type] < 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(len(h.Value)))
		}
		b = append(b, h.Value...)
	}
	b = append(b, m.Payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:])), nil
}

// ErrShort says that the bytes end before the message does.
var ErrShort = errors.New("event stream: the message is not complete")

// DecodeMessage reads the message at the beginning of b, which the Message
// shares. It returns ErrShort if more bytes are needed.
func DecodeMessage(b []byte) (m Message, rest []byte, err error) {
	if len(b) < preludeLen {
		return m, b, ErrShort
	}
	total, headers := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if got, want := crc32.ChecksumIEEE(b[:8]), binary.BigEndian.Uint32(b[8:]); got != want {
		return m, b, fmt.Errorf("event stream: the prelude's checksum is %08x, not %08x", got, want)
	}
	if headers > MaxEventHeaders || total < overheadLen+headers || total-overheadLen-headers > MaxEventPayload {
		return m, b, fmt.Errorf("event stream: a message of %d bytes with %d of headers", total, headers)
	}
	if uint32(len(b)) < total {
		return m, b, ErrShort
	}
	end := total - 4
	if got, want := crc32.ChecksumIEEE(b[:end]), binary.BigEndian.Uint32(b[end:]); got != want {
		return m, b, fmt.Errorf("event stream: the message's checksum is %08x, not %08x", got, want)
	}
	if m.Headers, err = decodeHeaders(b[preludeLen : preludeLen+headers]); err != nil {
		return Message{}, b, err
	}
	m.Payload = b[preludeLen+headers : end]
	return m, b[total:], nil
}

func decodeHeaders(b []byte) ([]EventHeader, error) {
	bad := errors.New("event stream: headers end too early")
	var out []EventHeader
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < n+2 {
			return nil, bad
		}
		h := EventHeader{Name: string(b[1 : 1+n]), Type: HeaderType(b[1+n])}
		b = b[n+2:]
		if int(h.Type) >= len(fixed) {
			return nil, fmt.Errorf("event stream: header %q has type %d", h.Name, h.Type)
		}
		size := fixed[h.Type]
		if size < 0 {
			if len(b) < 2 {
				return nil, bad
			}
			size = int(binary.BigEndian.Uint16(b))
			if size > 1<<15-1 {
				return nil, fmt.Errorf("event stream: header %q of %d bytes", h.Name, size)
			}
			b = b[2:]
		}
		if len(b) < size {
			return nil, bad
		}
		h.Value, b = b[:size:size], b[size:]
		out = append(out, h)
	}
	return out, nil
}

// AppendEvent appends an event with a JSON payload.
func AppendEvent(b []byte, name string, payload []byte) ([]byte, error) {
	return AppendMessage(b, Message{[]EventHeader{
		StringHeader(":event-type", name), StringHeader(":content-type", "application/json"), StringHeader(":message-type", "event"),
	}, payload})
}

// AppendException appends an exception that the stream's model knows. name is
// that of the member, in lower camel case.
func AppendException(b []byte, name string, payload []byte) ([]byte, error) {
	return AppendMessage(b, Message{[]EventHeader{
		StringHeader(":exception-type", name), StringHeader(":content-type", "application/json"), StringHeader(":message-type", "exception"),
	}, payload})
}
