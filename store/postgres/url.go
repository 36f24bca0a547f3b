package postgresstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const urlForm = "want postgres://[user[:password]@]host[:port]/database[?sslmode=...]"

// parse reads a URL, and the parameter listen_url, which is not the driver's. No error shows a password.
func parse(rawURL string, timeout time.Duration) (config *pgxpool.Config, listenURL string, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, "", errors.New("postgresstore: the URL does not parse; " + urlForm) // err quotes it, password and all
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, "", errors.New("postgresstore: the URL is of another scheme; " + urlForm)
	}
	if strings.Contains(rawURL, "#") { // the driver takes the rest for a part of the database's name, and shows it
		return nil, "", errors.New("postgresstore: the URL has a #; want it written as %23")
	}
	query := u.Query()
	listenURL = query.Get("listen_url")
	query.Del("listen_url")
	u.RawQuery = query.Encode()
	if config, err = pgxpool.ParseConfig(u.String()); err != nil {
		return nil, "", fmt.Errorf("postgresstore: URL: %s; %s", hideSecrets(err.Error(), u), urlForm)
	}
	if !query.Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = timeout
	}
	return config, listenURL, nil
}

// hideSecrets takes the user part, the query and every password out of text.
func hideSecrets(text string, u *url.URL) string {
	var secrets []string
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.String(), password, url.QueryEscape(password), url.PathEscape(password))
	}
	for key, values := range u.Query() {
		if strings.Contains(strings.ToLower(key), "pass") {
			for _, value := range values {
				secrets = append(secrets, value, url.QueryEscape(value))
			}
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return text
}
