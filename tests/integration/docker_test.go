package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

const (
	label     = "commontrip.integration" // on all that a run makes; its value is the run's start in Unix seconds
	runLimit  = 20 * time.Minute         // go test's, in the Makefile
	patience  = 60 * time.Second         // for one thing that must come to be
	imageName = "commontrip-integration-redis"
)

// run is this run's value of the label.
var run = strconv.FormatInt(time.Now().Unix(), 10)

func labels() map[string]string { return map[string]string{label: run} }

func TestMain(m *testing.M) {
	if os.Getenv("COMMONTRIP_INTEGRATION") != "1" {
		os.Exit(m.Run()) // every test skips
	}
	// The reaper would be one container more, from a registry; the label does its work.
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	if os.Getenv("DOCKER_HOST") == "" { // a machine that is a container itself would look for the ports at its gateway
		os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	}
	log.SetDefault(log.NewNoopLogger())
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		_, _ = sweep(func(started string) bool { return started == run })
		os.Exit(130)
	}()
	code := m.Run()
	if dockerAnswers() != nil {
		os.Exit(code)
	}
	left, err := sweep(func(started string) bool { return started == run })
	if err != nil || len(left) > 0 {
		fmt.Fprintf(os.Stderr, "integration: left behind, and removed now: %q, %v\n", left, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// old finds what a run that was killed has left: no run lasts as long.
func old(started string) bool {
	s, err := strconv.ParseInt(started, 10, 64)
	return err == nil && time.Since(time.Unix(s, 0)) > runLimit+time.Minute
}

// sweep removes the containers, networks and images of the runs that which selects. It returns the containers and
// networks; an image is meant to be there until the end.
func sweep(which func(started string) bool) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, nil //nolint:nilerr // no Docker, nothing to remove
	}
	defer docker.Close()
	ours := client.Filters{}.Add("label", label)
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	for _, c := range containers.Items {
		if which(c.Labels[label]) {
			removed = append(removed, "container "+c.ID[:12])
			_, e := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			err = errors.Join(err, e)
		}
	}
	networks, e := docker.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	err = errors.Join(err, e)
	for _, n := range networks.Items {
		if which(n.Labels[label]) {
			removed = append(removed, "network "+n.Name)
			_, e := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			err = errors.Join(err, e)
		}
	}
	images, e := docker.ImageList(ctx, client.ImageListOptions{Filters: ours})
	err = errors.Join(err, e)
	for _, i := range images.Items {
		if which(i.Labels[label]) {
			_, e := docker.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			err = errors.Join(err, e)
		}
	}
	return removed, err
}

// needDocker skips if these tests are not asked for or Docker is missing; the latter fails if REQUIRE_DOCKER=1.
func needDocker(t *testing.T) {
	t.Helper()
	if os.Getenv("COMMONTRIP_INTEGRATION") != "1" || testing.Short() {
		t.Skip("starts containers: run it with make integration")
	}
	if err := dockerAnswers(); err != nil {
		hint := "Docker does not answer, get it from https://docs.docker.com/engine/install: " + err.Error()
		if os.Getenv("REQUIRE_DOCKER") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
}

// dockerAnswers asks by Docker's own client: the library waits long, or panics, if there is no Docker.
var dockerAnswers = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience/4)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("docker version: %w: %s", err, out)
	}
	_, err := sweep(old)
	return err
})

// ownImage is the image of this machine's redis-server, made on first use.
func ownImage(t *testing.T) string {
	t.Helper()
	image, err := buildImage()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

var buildImage = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", imageName)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("../../scripts/redis-image.sh", dir+"/context").CombinedOutput(); err != nil {
		return "", fmt.Errorf("scripts/redis-image.sh: %w\n%s", err, out)
	}
	if _, err := os.Stat(dir + "/context/root"); err == nil { // of this machine's programs
		addTool(dir+"/context/root", "nft")
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", err
	}
	defer provider.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	return provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		Context: dir + "/context", Repo: imageName, Tag: run, KeepImage: true, BuildLogWriter: io.Discard,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Labels, o.ForceRemove = labels(), true },
	}})
})

// addTool puts a program into an image, if this machine has it. A test that uses it asks whether it is there.
func addTool(root, program string) {
	c := exec.Command("../../scripts/program-root.sh", root, program)
	c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	_ = c.Run()
}
