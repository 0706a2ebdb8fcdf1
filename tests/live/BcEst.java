// SPDX-License-Identifier: Apache-2.0
// Bouncy Castle's EST classes against a server: cacerts, csrattrs, simpleenroll by secret, then
// simplereenroll by the certificate that this gave. Prints one line per operation.

import java.io.FileInputStream;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Collection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

public final class BcEst {
    private final String server;
    private final String label;
    private final String version;
    private final X509TrustManager trust;

    private BcEst(String server, String label, String version, X509Certificate root) throws Exception {
        this.server = server;
        this.label = label;
        this.version = version;
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        store.setCertificateEntry("root", root);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        this.trust = (X509TrustManager) factory.getTrustManagers()[0];
    }

    private JsseESTServiceBuilder builder() {
        JsseESTServiceBuilder builder = new JsseESTServiceBuilder(server, trust);
        builder.withLabel(label);
        builder.withTLSVersion(version);
        builder.withFilterCipherSuites(false);
        builder.withTimeout(30000);
        return builder;
    }

    private static KeyPair newKey() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    private static PKCS10CertificationRequest request(KeyPair key, X500Principal subject) throws Exception {
        return new JcaPKCS10CertificationRequestBuilder(subject, key.getPublic())
            .build(new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate()));
    }

    /** The one certificate of an answer, and it is for this key. */
    private static X509Certificate certificate(EnrollmentResponse response, KeyPair key) throws Exception {
        if (!response.isCompleted()) {
            throw new Exception("no certificate yet");
        }
        Collection<X509CertificateHolder> found = response.getStore().getMatches(null);
        if (found.size() != 1) {
            throw new Exception(found.size() + " certificates in the answer");
        }
        X509Certificate made = new JcaX509CertificateConverter().getCertificate(found.iterator().next());
        if (!made.getPublicKey().equals(key.getPublic())) {
            throw new Exception("a certificate for another key");
        }
        return made;
    }

    private static KeyManagerFactory identity(KeyPair key, X509Certificate certificate) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        store.setKeyEntry("device", key.getPrivate(), new char[0], new X509Certificate[] {certificate});
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, new char[0]);
        return factory;
    }

    private void all(String user, String secret) throws Exception {
        ESTService service = builder().build();
        System.out.println("cacerts "
            + ESTService.storeToArray(service.getCACerts().getCertificateStore()).length);
        System.out.println("csrattrs "
            + service.getCSRAttributes().getAttributesResponse().getRequirements().size());
        KeyPair first = newKey();
        // HttpAuth asks first without the secret, and then cannot pass over the body of the 401.
        String token = Base64.getEncoder().encodeToString((user + ":" + secret).getBytes());
        ESTAuth auth = builder -> builder.setHeader("Authorization", "Basic " + token);
        X509Certificate made = certificate(service.simpleEnroll(false,
            request(first, new X500Principal("CN=" + user)), auth), first);
        System.out.println("simpleenroll " + made.getSerialNumber().toString(16));
        JsseESTServiceBuilder renewing = builder();
        renewing.withKeyManagers(identity(first, made).getKeyManagers());
        KeyPair second = newKey();
        X509Certificate renewed = certificate(renewing.build().simpleEnroll(true,
            request(second, made.getSubjectX500Principal()), null), second);
        System.out.println("simplereenroll " + renewed.getSerialNumber().toString(16));
    }

    public static void main(String[] args) throws Exception {
        try (FileInputStream root = new FileInputStream(args[3])) {
            X509Certificate anchor = (X509Certificate) CertificateFactory.getInstance("X.509")
                .generateCertificate(root);
            new BcEst(args[0], args[1], args[2], anchor).all(args[4], args[5]);
        }
    }
}
