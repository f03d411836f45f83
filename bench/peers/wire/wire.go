// Package wire frames the client protocol: a 4-byte big-endian length, then that many bytes of protobuf.
package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// ALPN names the client protocol in the TLS handshake.
const ALPN = "gatesvr/1"

// MaxFrameBytes bounds the protobuf of one frame.
const MaxFrameBytes = 64 << 10

const headerBytes = 4

// FrameTooLargeError is a length above MaxFrameBytes.
type FrameTooLargeError struct{ Bytes uint32 }

func (e *FrameTooLargeError) Error() string {
	return fmt.Sprintf("frame of %d bytes, at most %d are allowed", e.Bytes, MaxFrameBytes)
}

// ReadFrame reads one frame into buffer, which grows when it has to.
// The result is valid until buffer is used again.
func ReadFrame(reader *bufio.Reader, buffer []byte) ([]byte, error) {
	header, err := reader.Peek(headerBytes)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header)
	if size > MaxFrameBytes {
		return nil, &FrameTooLargeError{Bytes: size}
	}
	if _, err := reader.Discard(headerBytes); err != nil {
		return nil, err
	}
	if cap(buffer) < int(size) {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	_, err = io.ReadFull(reader, buffer)
	return buffer, err
}

var marshal = proto.MarshalOptions{UseCachedSize: true}

// AppendFrame appends message with its length to buffer.
func AppendFrame(buffer []byte, message proto.Message) ([]byte, error) {
	size := proto.Size(message)
	if size > MaxFrameBytes {
		return buffer, &FrameTooLargeError{Bytes: uint32(size)}
	}
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(size))
	return marshal.MarshalAppend(buffer, message)
}

// Marshal encodes a payload; the messages of this protocol always encode.
func Marshal(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	return encoded
}
