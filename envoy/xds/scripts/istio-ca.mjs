// The messages of Istio's certificate service (istio.v1.auth.IstioCertificateService), which agents
// and certificate authorities of that API speak on the wire. Envoy does not hold them.
import { create } from '@bufbuild/protobuf'
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt'

export const istioCa = create(FileDescriptorProtoSchema, {
  name: 'istio/security/v1alpha1/ca.proto',
  package: 'istio.v1.auth',
  syntax: 'proto3',
  dependency: ['google/protobuf/struct.proto'],
  messageType: [
    {
      name: 'IstioCertificateRequest',
      field: [
        { name: 'csr', number: 1, type: Type.STRING, label: Label.OPTIONAL },
        { name: 'validity_duration', number: 3, type: Type.INT64, label: Label.OPTIONAL },
        {
          name: 'metadata',
          number: 4,
          type: Type.MESSAGE,
          typeName: '.google.protobuf.Struct',
          label: Label.OPTIONAL,
        },
      ],
    },
    {
      name: 'IstioCertificateResponse',
      field: [{ name: 'cert_chain', number: 1, type: Type.STRING, label: Label.REPEATED }],
    },
  ],
  service: [
    {
      name: 'IstioCertificateService',
      method: [
        {
          name: 'CreateCertificate',
          inputType: '.istio.v1.auth.IstioCertificateRequest',
          outputType: '.istio.v1.auth.IstioCertificateResponse',
        },
      ],
    },
  ],
})
