import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'

/**
 * The plain-object form in which a message is written down here. Unlike protobuf-es's own init shape it is
 * never the message itself, so that parts of it can be spread into one another.
 */
export type Init<D extends DescMessage> = Exclude<MessageInitShape<D>, MessageShape<D>>
